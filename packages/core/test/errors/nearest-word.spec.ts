import { describe, expect, it } from 'vitest';
import { didYouMean, nearestWord } from '../../src/errors/nearest-word.js';

describe('the nearest word', () => {
  it.each([
    ['task-faild', ['task-sent', 'task-failed', 'task-retried'], 'task-failed'],
    ['T.ad', ['T.add', 'T.subtract'], 'T.add'],
    ['wokrer', ['worker', 'beat'], 'worker'],
    ['CONCURENCY', ['CONCURRENCY', 'CURRENCY'], 'CONCURRENCY'],
    ['mailtasks.send', ['MailTasks.send'], 'MailTasks.send'],
    ['pigeon', ['redis', 'sqlite'], undefined],
    ['ab', ['xy'], undefined],
    ['', ['a'], undefined],
    ['anything', [], undefined],
  ])('to %j among %j is %j', (word, known, nearest) => expect(nearestWord(word, known)).toBe(nearest));

  it('is asked for, where there is one', () => {
    expect(didYouMean('ad', ['add'])).toBe('Did you mean add?');
    expect(didYouMean('zzz', ['add'])).toBeUndefined();
  });

  it('is not looked for in what is far too long', () => {
    const began = performance.now();
    expect(nearestWord('x'.repeat(1_000_000), ['add', 'subtract'])).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(100);
  });
});
