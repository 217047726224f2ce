// Enqueues without end, in batches, and notes each id once the broker has accepted it.
import { openQueue, note } from './queue.mjs';

const queue = await openQueue();
process.send?.('ready');
for (;;) {
  const handles = await queue.sender.sendMany(Array.from({ length: 50 }, () => ({ task: 'work', args: [1] })));
  for (const handle of handles) note({ event: 'accepted', id: handle.id });
}
