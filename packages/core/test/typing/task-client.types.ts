/* Compiled, not run: what a caller may write. */
import type { Observable } from 'rxjs';
import type { Signature } from '../../src/canvas/signature.js';
import type { CallerArguments } from '../../src/client/task-methods.js';
import type { TaskClient } from '../../src/client/task-client.js';
import type { TaskHandle } from '../../src/client/task-handle.js';
import type { TaskContext } from '../../src/task/task-context.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(_proof?: T): void => undefined;

declare class MailTasks {
  constructor(secret: symbol);
  readonly name: string;
  sendWelcome(userId: number, name?: string): Promise<{ messageId: string }>;
  withContext(userId: number, task: TaskContext): Promise<void>;
  withOptionalContext(userId: number, task?: TaskContext): Promise<number>;
  onlyContext(task: TaskContext): Promise<string>;
  onlyOptionalContext(task?: TaskContext): Promise<string>;
  optionalAndContext(name?: string, task?: TaskContext): Promise<boolean>;
  takesAny(value: any): Promise<number>;
  takesUnknown(value: unknown): Promise<number>;
  many(...ids: number[]): Promise<number>;
  stream(): Observable<number>;
  now(): number;
  nothing(): void;
  protected inside(): Promise<void>;
  private hidden(): Promise<void>;
}

declare abstract class AbstractTasks {
  abstract run(id: number): Promise<string>;
}

is<Equal<CallerArguments<[a: number, task: TaskContext]>, [a: number]>>();
is<Equal<CallerArguments<[a: number, task?: TaskContext]>, [a: number]>>();
is<Equal<CallerArguments<[task?: TaskContext]>, []>>();
is<Equal<CallerArguments<[a?: string, task?: TaskContext]>, [a?: string]>>();
is<Equal<CallerArguments<[a: number, b?: string]>, [a: number, b?: string]>>();
is<Equal<CallerArguments<[]>, []>>();
is<Equal<CallerArguments<number[]>, number[]>>();

export async function calls(client: TaskClient): Promise<void> {
  const tasks = client.for(MailTasks);
  const handle = await tasks.sendWelcome.delay(42);
  is<Equal<typeof handle, TaskHandle<{ messageId: string }>>>();
  is<Equal<Awaited<ReturnType<typeof handle.get>>, { messageId: string }>>();
  await tasks.sendWelcome.delay(42, 'Ada');
  await tasks.sendWelcome.applyAsync([42], { queue: 'mail', countdown: '10s' });
  await tasks.sendWelcome.bulk([[1], [2, 'Bob']]);
  is<Equal<Awaited<ReturnType<typeof tasks.sendWelcome.call>>, { messageId: string }>>();

  // @ts-expect-error -- a number
  await tasks.sendWelcome.delay('42');
  // @ts-expect-error -- one argument at least
  await tasks.sendWelcome.delay();
  // @ts-expect-error -- two at most
  await tasks.sendWelcome.delay(42, 'Ada', true);
  // @ts-expect-error -- the arguments are a list
  await tasks.sendWelcome.applyAsync(42);
  // @ts-expect-error -- no such option
  await tasks.sendWelcome.applyAsync([42], { qeue: 'mail' });
  // @ts-expect-error -- the second call is wrong
  await tasks.sendWelcome.bulk([[1], ['2']]);
  // @ts-expect-error -- one id cannot be given to several
  await tasks.sendWelcome.bulk([[1]], { taskId: 'x' });
  // @ts-expect-error -- the result is an object
  (await handle.get()).toFixed();
}

export async function contexts(client: TaskClient): Promise<void> {
  const tasks = client.for(MailTasks);
  await tasks.withContext.delay(1);
  await tasks.withOptionalContext.delay(1);
  await tasks.onlyContext.delay();
  await tasks.onlyOptionalContext.delay();
  await tasks.optionalAndContext.delay();
  await tasks.optionalAndContext.delay('x');
  await tasks.takesAny.delay({ any: 'thing' });
  await tasks.takesUnknown.delay(1);
  await tasks.many.delay(1, 2, 3);
  is<Equal<Awaited<ReturnType<typeof tasks.stream.delay>>, TaskHandle<number>>>();
  // @ts-expect-error -- the context does not show
  await tasks.withContext.delay(1, undefined);
  // @ts-expect-error -- not this one either
  await tasks.withOptionalContext.delay(1, undefined);
  // @ts-expect-error -- any is no context
  await tasks.takesAny.delay();
  // @ts-expect-error -- unknown is no context
  await tasks.takesUnknown.delay();
  // @ts-expect-error -- numbers
  await tasks.many.delay(1, '2');
}

export async function members(client: TaskClient): Promise<void> {
  const tasks = client.for(MailTasks);
  // @ts-expect-error -- private
  await tasks.hidden.delay();
  // @ts-expect-error -- protected
  await tasks.inside.delay();
  // @ts-expect-error -- synchronous
  await tasks.now.delay();
  // @ts-expect-error -- synchronous
  await tasks.nothing.delay();
  // @ts-expect-error -- no method
  await tasks.name.delay();
  // @ts-expect-error -- no such task
  await tasks.sendGoodbye.delay();
  await client.for(AbstractTasks).run.delay(1);
}

export async function prefixes(client: TaskClient): Promise<void> {
  const tasks = client.for<MailTasks>('mail');
  is<Equal<Awaited<ReturnType<typeof tasks.sendWelcome.delay>>, TaskHandle<{ messageId: string }>>>();
  // @ts-expect-error -- a number
  await tasks.sendWelcome.delay('42');
}

export async function signatures(client: TaskClient): Promise<void> {
  const tasks = client.for(MailTasks);
  const signature = tasks.sendWelcome.s(1);
  is<Equal<typeof signature, Signature<{ messageId: string }>>>();
  // Less than all: the result of the task before comes first.
  tasks.sendWelcome.s();
  tasks.sendWelcome.si(1, 'x');
  is<
    Equal<Awaited<ReturnType<typeof client.sendSignature<{ messageId: string }>>>, TaskHandle<{ messageId: string }>>
  >();
  await tasks.sendWelcome.applyAsync([1], { link: tasks.takesUnknown.s(), linkError: [tasks.withContext.si(1)] });
  // @ts-expect-error -- a number
  tasks.sendWelcome.s('1');
  // @ts-expect-error -- too many
  tasks.sendWelcome.s(1, 'x', 2);
  // @ts-expect-error -- an immutable one needs all
  tasks.sendWelcome.si();
}
