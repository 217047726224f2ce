import { customHeaders, openProperties } from './celery-headers.js';
import type { EncodedMessage } from './encoded-message.js';
import { pythonRepr } from './python-repr.js';
import type { TaskEnvelope } from './task-message.js';
import {
  optionalCount,
  optionalInstant,
  optionalList,
  optionalName,
  optionalRecord,
  requiredName,
  timeLimits,
} from './wire-fields.js';
import type { WireFields } from './wire-fields.js';

/**
 * The envelope of a message of Celery's protocol 1, which keeps everything in one object in the body: `task`, `id`,
 * `args`, `kwargs`, `retries`, `eta`, `expires`, `utc`, `group` or `taskset`, `timelimit` and the continuations. Read
 * only. Instants without an offset are UTC. Throws MessageError DECODE_FAILED that names the field.
 */
export function openProtocol1({ headers, properties }: EncodedMessage, body: WireFields): TaskEnvelope {
  const id = requiredName(body, 'id');
  const [timeLimitMs, softTimeLimitMs] = timeLimits(body);
  return {
    lang: 'py',
    id,
    task: requiredName(body, 'task'),
    shadow: undefined,
    eta: optionalInstant(body, 'eta'),
    expires: optionalInstant(body, 'expires'),
    group: optionalName(body, 'group') ?? optionalName(body, 'taskset'),
    groupIndex: optionalCount(body, 'group_index'),
    retries: optionalCount(body, 'retries') ?? 0,
    timeLimitMs,
    softTimeLimitMs,
    rootId: id,
    parentId: undefined,
    argsRepr: pythonRepr(optionalList(body, 'args') ?? [], { tuple: true }),
    kwargsRepr: pythonRepr(optionalRecord(body, 'kwargs') ?? {}),
    origin: '',
    ignoreResult: false,
    replacedTaskNesting: 0,
    stampedHeaders: undefined,
    stamps: {},
    customHeaders: customHeaders(headers),
    ...openProperties(properties, id),
  };
}
