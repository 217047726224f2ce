import { describe, expect, it } from 'vitest';
import { findMember } from '../../src/message/json-member.js';

const value = (text: string, name = 'result'): string | undefined => {
  const place = findMember(text, name);
  return place === undefined ? undefined : text.slice(...place);
};

describe('a member of a JSON text', () => {
  it.each([
    ['{"result":1}', '1'],
    ['{"result": {"result": [2]} , "x": 0}', '{"result": [2]} '],
    ['{"a":{"result":0},"result":"x,}\\"]"}', '"x,}\\"]"'],
    ['{"a":"\\"result\\":1","result":null}', 'null'],
    ['{"a":"result","result":NaN}', 'NaN'],
    ['{"a":["result",1],"result":[1,[2,{"b":"]"}]]}', '[1,[2,{"b":"]"}]]'],
    ['{"result"  :  "y"}', '"y"'],
    ['{"result":12345678901234567890}', '12345678901234567890'],
    ['{"result":1,"result":2}', '1'],
  ])('is found as it stands in %s', (text, expected) => expect(value(text)).toBe(expected));

  it.each(['{}', '{"a":{"result":1}}', '["result"]', '', '{"result"}', '"result"', '{"result":', '{"a":"result'])(
    'is not found in %s',
    (text) => expect(value(text)).toBeUndefined(),
  );

  it('is found by what a parser says, for objects of any shape', () => {
    const shapes = [1, 'a "b" \\ c', null, [], {}, [1, '2', { c: ',"result":9' }], { d: { result: [] } }];
    for (const before of shapes) {
      for (const own of shapes) {
        const text = JSON.stringify({ before, '"result"': 1, result: own, after: before });
        expect(JSON.parse(value(text) as string)).toEqual(own);
      }
    }
  });
});
