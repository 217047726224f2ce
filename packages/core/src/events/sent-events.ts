import { pythonRepr } from '../message/python-repr.js';
import type { EventDispatcher } from './event-dispatcher.js';
import type { OutgoingTask, PublishListener } from './publish-events.js';

/** Tells the cluster what this process has sent, as Celery's clients do with `task_send_sent_event`. */
export function sentEvents(dispatcher: EventDispatcher): PublishListener {
  return ({ type, task }) => {
    if (type === 'task-sent') dispatcher.emit('task-sent', description(task));
  };
}

function description({ id, name, queue, message }: OutgoingTask) {
  const { args, kwargs, argsRepr, kwargsRepr, rootId, parentId, retries, eta, expires } = message;
  return {
    id,
    name,
    args: argsRepr ?? pythonRepr(args, { tuple: true }),
    kwargs: kwargsRepr ?? pythonRepr(kwargs),
    rootId,
    parentId,
    retries,
    eta,
    expires,
    queue,
    // Ours and Celery's go through the default exchange, by the queue's name.
    exchange: '',
    routingKey: queue,
  };
}
