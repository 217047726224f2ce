import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/ambient/logger.js';
import { occurrenceTaskId } from '../../src/ambient/ids.js';
import { Beat } from '../../src/beat/beat.js';
import { validateSettings } from '../../src/config/validate-settings.js';
import { PublishEvents } from '../../src/events/publish-events.js';
import { memoryDriver } from '../../src/memory/memory-driver.js';
import { composeStores } from '../../src/ports/stores.js';
import { declareEntry } from '../../src/schedule/declare-entry.js';
import { defineTask } from '../../src/task/task-definition.js';
import { TaskRegistry } from '../../src/task/task-registry.js';
import { FakeClock } from '../../src/testing/fake-clock.js';

const START = Date.UTC(2026, 0, 1, 12, 0, 0);
const idAt = (seconds: number): string => occurrenceTaskId('ten', START + seconds * 1_000);

describe.each([
  ['in one step', true],
  ['in two steps', false],
])('beats, firing %s', (_name, atomicFire) => {
  const beats: Beat[] = [];
  afterEach(() => Promise.all(beats.splice(0).map((beat) => beat.stop())));

  /** Beats that send a task every ten seconds, and what they tell. */
  async function running(count: number) {
    const clock = new FakeClock(START);
    const stores = { ...composeStores({ broker: memoryDriver({ clock }) }), atomicFire };
    const registry = new TaskRegistry();
    registry.register({ definition: defineTask('tick', {}), handler: () => undefined, source: 'tick' });
    const told: string[] = [];
    const published = new PublishEvents(silentLogger);
    published.on(({ type, task }) => told.push(`${type} ${task.id}`));
    for (let index = 0; index < count; index += 1) {
      const beat = new Beat({
        stores,
        registry,
        settings: validateSettings({}),
        declared: [declareEntry({ name: 'ten', task: 'tick', every: '10s' })],
        logger: silentLogger,
        clock,
        random: () => 0.5,
        published,
        onEvent: ({ type }) => told.push(type),
      });
      beats.push(beat);
      await beat.start();
    }
    await clock.settle();
    return { clock, told };
  }

  it('tell that they run, what they send, and that they have stopped', async () => {
    const { clock, told } = await running(1);
    await clock.advance('15s');
    await beats[0]?.stop();
    await beats[0]?.stop();
    const sent = [`task-publishing ${idAt(10)}`, `task-sent ${idAt(10)}`];
    expect(told).toEqual(['beat-starting', 'beat-online', ...sent, 'beat-offline']);
  });

  it('tell once what one of several has sent', async () => {
    const { clock, told } = await running(3);
    await clock.advance('25s');
    const sent = told.filter((line) => line.startsWith('task-sent'));
    expect(sent).toEqual([`task-sent ${idAt(10)}`, `task-sent ${idAt(20)}`]);
  });
});
