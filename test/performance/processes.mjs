// Runs a workload of a side in processes of its own.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = fileURLToPath(new URL('.', import.meta.url));
export const peerNode = join(here, 'node_modules/node/bin/node');
const LONGEST_MS = 300_000;
/** Workloads in which one process works and another one sends. */
const SENDERS = { spaced: 'send-spaced', delayed: 'send-delayed', together: 'send-steadily' };

/** Answers what the workload measured. `node`: the program that all sides run on. */
export async function runSide({ side, url, node, spec }) {
  const start = (program, workload) => child({ program, node, spec: { ...side, url, ...spec, workload } });
  const sender = SENDERS[spec.workload];
  if (sender === undefined) return start('side.mjs', spec.workload).finished;
  const receiver = start('side.mjs', spec.workload === 'together' ? 'count' : 'receive');
  await receiver.ready;
  try {
    await start('sender.mjs', sender).finished;
    return await receiver.finished;
  } finally {
    receiver.kill();
  }
}

function child({ program, node, spec }) {
  const running = fork(join(here, program), {
    execArgv: [],
    execPath: node,
    env: { ...process.env, NODE_OPTIONS: '', SIDE: JSON.stringify(spec) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let stderr = '';
  running.stderr.on('data', (data) => (stderr += data));
  let isReady;
  const ready = new Promise((resolve) => (isReady = resolve));
  const finished = new Promise((resolve, reject) => {
    const timeout = setTimeout(() => running.kill('SIGKILL'), LONGEST_MS);
    let answer;
    running.on('message', (message) => (message === 'ready' ? isReady() : (answer = message)));
    running.on('exit', (code) => {
      clearTimeout(timeout);
      isReady();
      if (answer === undefined) reject(new Error(`${program} ended with ${code}: ${stderr.slice(-300)}`));
      else resolve(answer);
    });
  });
  // Who awaits it hears of a failure; a receiver that is killed on purpose has nobody.
  finished.catch(() => undefined);
  return { ready, finished, kill: () => running.kill('SIGKILL') };
}
