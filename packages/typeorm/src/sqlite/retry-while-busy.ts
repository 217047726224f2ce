import { isBusy } from './sqlite-driver.js';

/** Another process has the lock: give this one's event loop a chance, then try again. */
export async function retryWhileBusy<T>(work: () => T | Promise<T>, patience: number): Promise<T> {
  const deadline = performance.now() + patience;
  for (let pause = 1; ; pause = Math.min(25, pause * 2)) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
      await new Promise((resolvePause) => setTimeout(resolvePause, pause * (0.5 + Math.random())));
    }
  }
}
