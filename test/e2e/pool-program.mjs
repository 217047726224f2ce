// A compiled application as users have one, without a compiler: decorators are called by hand. A worker starts this
// program again for each of its children.
import 'reflect-metadata';
import { appendFileSync, existsSync, openSync, readSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import {
  Inject,
  Injectable,
  Logger,
  Module,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { runWorker, SharedTask, Task, TaskClient, taskContextOf, TaskQueueModule } from '@taskqueue/nestjs';
import { map } from 'rxjs';

class Greeter {
  greet(name) {
    return `Hello ${name}`;
  }
}

class OnlyKnown {
  canActivate(context) {
    return taskContextOf(context).headers.known !== 'no';
  }
}
class Loud {
  intercept(_context, next) {
    return next.handle().pipe(map((value) => `${value}!`));
  }
}
class Trimmed {
  transform(value) {
    return typeof value === 'string' ? value.trim() : value;
  }
}
class Forgiving {
  catch(error) {
    if (error.message === 'forgive') return 'forgiven';
    throw error;
  }
}

class Tasks {
  constructor(greeter, client) {
    this.greeter = greeter;
    this.client = client;
  }
  greet(name) {
    return this.greeter.greet(name);
  }
  fail(how) {
    throw new Error(how);
  }
  where() {
    return { pid: process.pid, ppid: process.ppid, thread: threadId };
  }
  environment() {
    return Object.keys(process.env);
  }
  async talk(task) {
    await task.progress({ half: true });
    task.logger.log('said by the task');
    await task.heartbeat();
    return task.attempt;
  }
  async send(name) {
    return (await this.client.for(Tasks).greet.delay(name)).id;
  }
  exit() {
    process.exit(1);
  }
  crash() {
    // As a fault in a native library does.
    process.kill(process.pid, 'SIGSEGV');
    for (;;);
  }
  abort() {
    process.abort();
  }
  async throwLate() {
    setTimeout(() => {
      throw new Error('nobody catches this');
    });
    await new Promise(() => undefined);
  }
  chdir() {
    process.chdir('/');
    return process.cwd();
  }
  async open(file) {
    const fd = openSync(file, 'r');
    // Holds this child, so that another one is asked next.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return { fd, at: this.where() };
  }
  async read(fd) {
    const bytes = Buffer.alloc(5);
    return { text: bytes.toString('utf8', 0, readSync(fd, bytes)), at: this.where() };
  }
  async nap(ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return ms;
  }
  again(task) {
    if (task.retries === 0) task.retry({ countdown: 0 });
    return process.pid;
  }
  spin() {
    appendFileSync(process.env.TEST_SPINNERS, `${process.pid}\n`);
    for (;;);
  }
  eat() {
    const eaten = [];
    for (;;) eaten.push({ bytes: Array.from({ length: 1_000 }, () => eaten.length) });
  }
  hash(ms) {
    const until = performance.now() + ms;
    const hash = createHash('sha256');
    do hash.update('x');
    while (performance.now() < until);
    return hash.digest('hex');
  }
}
provided(Tasks, [Injectable()], [Greeter, TaskClient]);
task(Tasks, 'greet', [UseGuards(OnlyKnown), UseInterceptors(Loud), UsePipes(Trimmed)]);
task(Tasks, 'fail', [UseFilters(Forgiving)]);
task(Tasks, 'where');
task(Tasks, 'environment');
task(Tasks, 'talk', [(target, key) => Task()(target, key, 0)]);
task(Tasks, 'send');
task(Tasks, 'nap');
task(Tasks, 'again', [(target, key) => Task()(target, key, 0)], { retry: { max: 1 } });
task(Tasks, 'exit');
task(Tasks, 'abort');
task(Tasks, 'crash');
task(Tasks, 'throwLate');
task(Tasks, 'chdir');
task(Tasks, 'open');
task(Tasks, 'read');
task(Tasks, 'spin', [], { timeLimit: process.env.TEST_SPIN_LIMIT ?? '60s' });
task(Tasks, 'eat');
task(Tasks, 'hash', [], { ignoreResult: true });

let made = 0;
class Scoped {
  constructor(request) {
    this.request = request;
    this.number = made += 1;
  }
  run() {
    return { task: this.request.name, number: this.number };
  }
}
provided(Scoped, [Injectable({ scope: Scope.REQUEST })], [REQUEST]);
task(Scoped, 'run');

class Life {
  onApplicationBootstrap() {
    Logger.log('an application has booted');
  }
  onModuleDestroy() {
    Logger.log('an application closes');
  }
}

class AppModule {}
Module({ imports: [TaskQueueModule.forRoot()], providers: [Greeter, Tasks, Scoped, Life] })(AppModule);

// Boots in workers, and in children for as long as the file is there.
if (process.env.TASKQUEUE_POOL_CHILD && !existsSync(process.env.TEST_BOOTS_WHILE)) throw new Error('no file, no boot');
if (process.env.TEST_SPANS !== undefined) {
  const { writeSpans } = await import('./span-file.mjs');
  writeSpans(process.env.TEST_SPANS);
}
await runWorker(AppModule);
Logger.log('the worker consumes');

function provided(target, decorators, params) {
  params.forEach((param, index) => Inject(param)(target, undefined, index));
  for (const decorate of decorators) decorate(target);
}

function task(target, method, decorators = [], options = {}) {
  const all = [SharedTask({ name: `${target.name}.${method}`, ...options }), ...decorators];
  Reflect.decorate(all, target.prototype, method, Object.getOwnPropertyDescriptor(target.prototype, method));
}
