import type { TaskQueueSettings } from '../config/settings.js';
import type { DecodeOptions } from './celery-protocol.js';
import { jsonSerializer } from './json-serializer.js';
import type { PayloadLimits } from './payload-limits.js';
import type { Serializer } from './serializer.js';
import { SerializerRegistry } from './serializer.js';

type WireSettings = Pick<
  TaskQueueSettings,
  'dialect' | 'maxBodyBytes' | 'maxBodyDepth' | 'maxBodyKeys' | 'serializers'
>;

/** What we write with. */
export function serializerFrom(settings: WireSettings): Serializer {
  return jsonSerializer({ dialect: settings.dialect, limits: limitsFrom(settings) });
}

/** What we read with. */
export function serializersFrom(settings: WireSettings): SerializerRegistry {
  return new SerializerRegistry({ serializers: [serializerFrom(settings), ...(settings.serializers ?? [])] });
}

export function decodeOptionsFrom(settings: WireSettings): DecodeOptions {
  return { serializers: serializersFrom(settings), limits: limitsFrom(settings) };
}

function limitsFrom(settings: WireSettings): PayloadLimits {
  return { maxBytes: settings.maxBodyBytes, maxDepth: settings.maxBodyDepth, maxKeys: settings.maxBodyKeys };
}
