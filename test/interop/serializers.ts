import type { MsgpackCodec, Serializer, YamlCodec } from '@taskqueue/core';
import { msgpackSerializer, yamlSerializer } from '@taskqueue/core';

/** What an application enables to read messages of Python's that are not JSON. */
export async function foreignSerializers(): Promise<readonly Serializer[]> {
  const [msgpack, yaml] = await Promise.all([library<MsgpackCodec>('@msgpack/msgpack'), library<YamlCodec>('yaml')]);
  return [msgpackSerializer(msgpack), yamlSerializer(yaml)];
}

/** By a name that the compiler does not look at: core has no such dependency, and neither have its types. */
async function library<T>(name: string): Promise<T> {
  return (await import(/* @vite-ignore */ name)) as T;
}
