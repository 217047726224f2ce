import { IsObject } from 'class-validator';
import { expect, it } from 'vitest';
import { InvalidFields } from '../../src/http/field-error.js';
import { RequestPipe } from '../../src/http/validation.pipe.js';

class Call {
  @IsObject()
  kwargs!: Record<string, unknown>;
}

const transform = (body: string): Promise<unknown> =>
  new RequestPipe().transform(JSON.parse(body), { type: 'body', metatype: Call });

const refusal = async (body: string): Promise<unknown> =>
  transform(body).then(
    () => 'accepted',
    (error: unknown) => (error as InvalidFields).getResponse(),
  );

it.each([
  ['{"kwargs":{"__proto__":{"admin":true}}}', 'kwargs.__proto__'],
  ['{"kwargs":{"list":[{"constructor":1}]}}', 'kwargs.list.0.constructor'],
  ['{"kwargs":{"a":{"prototype":1}}}', 'kwargs.a.prototype'],
  ['{"__proto__":{},"kwargs":{}}', '__proto__'],
])('refuses %s, which would be lost on its way', async (body, field) => {
  expect(await refusal(body)).toMatchObject({ statusCode: 400, field });
});

it('refuses what is nested too deep for what looks at it afterwards', async () => {
  const deep = `${'['.repeat(101)}${']'.repeat(101)}`;
  expect(await refusal(`{"kwargs":{"deep":${deep}}}`)).toMatchObject({ statusCode: 400, field: 'kwargs' });
});

it('lets through what only looks alike', async () => {
  const kwargs = { 'a.__proto__': 1, proto: { __proto: [1] } };
  expect(await transform(JSON.stringify({ kwargs }))).toEqual({ kwargs });
});
