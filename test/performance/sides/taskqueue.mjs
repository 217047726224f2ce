// Ours, with the whole Nest pipeline around each task (`nest`) or without Nest (`core`).
import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  defineTask,
  plainHandler,
  silentLogger,
  systemClock,
  TaskClient,
  composeStores,
  TaskRegistry,
  TaskSender,
  validateSettings,
  Worker,
} from '@taskqueue/core';
import { SharedTask, TaskQueueLifecycle, TaskQueueModule } from '@taskqueue/nestjs';
import { payload } from './payload.mjs';

const PACKAGES = { amqp: '@taskqueue/amqp', redis: '@taskqueue/redis' };
const packageOf = (url) => PACKAGES[url.slice(0, url.indexOf(':'))] ?? '@taskqueue/typeorm';

export async function open(url, { pipeline = 'nest', ignoreResult = true, results } = {}) {
  const app = pipeline === 'nest' ? await openNest(url, ignoreResult, results) : await openCore(url, ignoreResult);
  const send = (index, options) => app.send([payload(index)], options);
  return {
    enqueue: (index) => send(index),
    enqueueStamped: (sent) => app.send([{ ...payload(0), sent }]),
    enqueueBulk: (indexes) => app.sendBulk(indexes.map((index) => [payload(index)])),
    enqueueDelayed: (items) =>
      app.sendBulk(
        items.map(({ index, at }) => [payload(index), at]),
        items.map(({ at }) => new Date(at)),
      ),
    work: (concurrency, onTask) => app.work(concurrency, onTask),
    close: () => app.close(),
  };
}

async function openNest(url, ignoreResult, results) {
  const { createDriver } = await import(packageOf(url));
  let onTask = () => undefined;
  class Tasks {
    async noop(data, at) {
      onTask(data, at);
    }
  }
  Injectable()(Tasks);
  Reflect.defineMetadata('design:paramtypes', [Object, Object], Tasks.prototype, 'noop');
  SharedTask({ ignoreResult })(Tasks.prototype, 'noop', Object.getOwnPropertyDescriptor(Tasks.prototype, 'noop'));
  class App {}
  Module({
    imports: [
      TaskQueueModule.forRoot({
        driver: createDriver(url),
        ...(results === undefined ? {} : { results: `${results}://` }),
        logger: silentLogger,
        worker: { logTasks: false },
      }),
    ],
    providers: [Tasks],
  })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  const client = app.get(TaskClient).for(Tasks).noop;
  return {
    send: (args) => client.delay(...args),
    sendBulk: (calls, etas) =>
      etas === undefined
        ? client.bulk(calls)
        : Promise.all(calls.map((args, index) => client.applyAsync(args, { eta: etas[index] }))),
    async work(concurrency, listener) {
      onTask = listener;
      await app.get(TaskQueueLifecycle, { strict: false }).startWorker({ concurrency });
    },
    close: () => app.close(),
  };
}

async function openCore(url, ignoreResult) {
  const { createDriver } = await import(packageOf(url));
  let onTask = () => undefined;
  const driver = createDriver(url);
  await driver.connect({ logger: silentLogger });
  const stores = composeStores({ broker: driver });
  const registry = new TaskRegistry();
  const definition = defineTask('noop', { ignoreResult });
  registry.register({
    definition,
    source: 'noop',
    handler: plainHandler(definition, async (data, at) => onTask(data, at)),
  });
  const common = {
    stores,
    registry,
    settings: validateSettings({ worker: { logTasks: false } }),
    clock: systemClock,
    logger: silentLogger,
    random: Math.random,
  };
  const sender = new TaskSender(common);
  let worker;
  return {
    send: (args) => sender.sendTask('noop', args),
    sendBulk: (calls, etas) =>
      sender.sendMany(
        calls.map((args, index) => ({ task: 'noop', args, options: etas === undefined ? {} : { eta: etas[index] } })),
      ),
    async work(concurrency, listener) {
      onTask = listener;
      worker = new Worker({ ...common, settings: validateSettings({ worker: { concurrency, logTasks: false } }) });
      await worker.start();
    },
    async close() {
      await worker?.stop();
      await driver.close();
    },
  };
}
