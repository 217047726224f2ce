/* Compiled, not run: what @SharedTask's schema option accepts. */
import { z } from 'zod';
import type { TaskContext } from '@taskqueue/core';
import { SharedTask, Task } from '../../src/index.js';

class Letter {
  to!: string;
}
class Parcel {
  weight!: number;
}
const User = z.object({ id: z.number() });

export class Fits {
  @SharedTask()
  anything(_a: number, _b?: string): void {}

  @SharedTask({ schema: User })
  first(_user: { readonly id: number }): void {}

  @SharedTask({ schema: User })
  firstOfSeveral(_user: { readonly id: number }, _more: string): void {}

  @SharedTask({ schema: User })
  wider(_user: unknown): void {}

  @SharedTask({ schema: User.optional() })
  optional(_user?: { readonly id: number }): void {}

  @SharedTask({ schema: User })
  optionalParameter(_user?: { readonly id: number }): void {}

  @SharedTask({ schema: [z.number(), z.string()] })
  several(_a: number, _b: string, @Task() _task?: TaskContext): void {}

  @SharedTask({ schema: [z.number(), z.string().optional()] })
  severalOptional(_a: number, _b?: string): void {}

  @SharedTask({ schema: z.string().transform(Number) })
  transformed(_n: number): void {}

  @SharedTask({ schema: Letter })
  dto(_letter: Letter): void {}

  @SharedTask({ schema: [Letter, Parcel] })
  dtos(_letter: Letter, _parcel: Parcel): void {}
}

export class DoesNotFit {
  // @ts-expect-error -- id is a number
  @SharedTask({ schema: User })
  wrongField(_user: { readonly id: string }): void {}

  // @ts-expect-error -- there is no parameter
  @SharedTask({ schema: User })
  noParameter(): void {}

  // @ts-expect-error -- the schema gives the transformed value
  @SharedTask({ schema: z.string().transform(Number) })
  untransformed(_n: string): void {}

  // @ts-expect-error -- the second one is a number
  @SharedTask({ schema: [z.number(), z.string()] })
  wrongSecond(_a: number, _b: number): void {}

  // @ts-expect-error -- more schemas than parameters
  @SharedTask({ schema: [z.number(), z.string()] })
  tooMany(_a: number): void {}

  // @ts-expect-error -- the schema may give undefined
  @SharedTask({ schema: User.optional() })
  required(_user: { readonly id: number }): void {}

  // @ts-expect-error -- another DTO
  @SharedTask({ schema: Letter })
  otherDto(_parcel: Parcel): void {}

  // @ts-expect-error -- no such option
  @SharedTask({ qeue: 'mail' })
  typingMistake(): void {}

  // @ts-expect-error -- a duration, not any text
  @SharedTask({ timeLimit: 'soon' })
  noDuration(): void {}

  // @ts-expect-error -- @Task() is the way here
  @SharedTask({ bind: true })
  bound(): void {}
}
