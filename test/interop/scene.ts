import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amqpDriver } from '@taskqueue/amqp';
import type { Driver, TaskQueueSettingsInit } from '@taskqueue/core';
import { redisDriver } from '@taskqueue/redis';
import { createDriver as sqlDriver } from '@taskqueue/typeorm';
import { connect } from 'amqplib';
import { removeDeclared } from '../../packages/amqp/test/open-driver.js';
import { RedisServer } from '../support/redis-server.js';
import { NodePeer } from './node-peer.js';
import type { PythonSurroundings, PythonWorkerOptions } from './python-peer.js';
import { PythonClient, PythonDump, PythonWorker } from './python-peer.js';

export type BrokerName = 'Redis' | 'RabbitMQ';

/** What both brokers' tests ask of the place that they run in. */
export interface SceneInit {
  readonly broker: BrokerName;
  /** Results are sent to callers over RabbitMQ. Default: they are kept in Redis. */
  readonly rpc?: boolean;
  /** A PostgreSQL in which our side keeps results, and Django looks for them. */
  readonly database?: string;
  readonly settings?: TaskQueueSettingsInit;
  /** Both sides use priorities: of the queues on RabbitMQ the highest. Default none, as Celery. */
  readonly maxPriority?: number;
}

/**
 * A Python client and ours around one broker, with queues, a Redis and a ledger of their own, so that any number may run side
 * by side. Results are in that Redis, whichever the broker is. Workers are started by the tests.
 */
export class Scene {
  readonly name = `interop-${randomUUID().slice(0, 8)}`;
  /** The queue of Python's worker, and of ours. */
  readonly pythonQueue = `${this.name}.py`;
  readonly nodeQueue = `${this.name}.js`;
  node!: NodePeer;
  python!: PythonClient;
  private readonly folder = mkdtempSync(join(tmpdir(), 'taskqueue-interop-'));
  private readonly ledgerFile = join(this.folder, 'ledger');
  private readonly pythonWorkers: PythonWorker[] = [];
  private readonly nodes: NodePeer[] = [];
  private readonly queues = new Set<string>([this.pythonQueue, this.nodeQueue]);

  private constructor(
    private readonly init: SceneInit,
    private readonly redis: RedisServer,
  ) {
    writeFileSync(this.ledgerFile, '');
  }

  static async open(init: SceneInit): Promise<Scene> {
    const scene = new Scene(init, await RedisServer.create());
    [scene.node, scene.python] = await Promise.all([scene.openNode(), scene.openPython()]);
    return scene;
  }

  /** With a worker on either side. */
  static async staffed(init: SceneInit): Promise<Scene> {
    const scene = await Scene.open(init);
    await Promise.all([scene.node.work(), scene.startPython()]);
    return scene;
  }

  /** One more peer of ours, on a queue of its own. */
  async openNode(queue = this.nodeQueue, settings: TaskQueueSettingsInit = {}): Promise<NodePeer> {
    this.queues.add(queue);
    const peer = await NodePeer.open({
      ...this.drivers(),
      queue,
      ledger: this.ledgerFile,
      settings: { ...this.init.settings, ...settings },
    });
    this.nodes.push(peer);
    return peer;
  }

  /** A queue of the test's own, to be removed with the scene. */
  queue(name: string): string {
    const queue = `${this.name}.${name}`;
    this.queues.add(queue);
    return queue;
  }

  /** As either side takes it. */
  get brokerUrl(): string {
    return this.init.broker === 'Redis' ? this.redis.url : amqpUrl();
  }

  /** New ones of ours. */
  drivers(): { readonly broker: Driver; readonly results: Driver | 'rpc' | undefined } {
    const { maxPriority, rpc, database } = this.init;
    const onRedis = this.init.broker === 'Redis';
    const priorities = maxPriority === undefined ? {} : { maxPriority };
    const order = maxPriority === undefined ? {} : ({ priorities: 'kombu' } as const);
    const redis = (): Driver => redisDriver({ url: this.redis.url, ...order });
    return {
      broker: onRedis ? redis() : amqpDriver({ url: amqpUrl(), delayQueueType: 'classic', ...priorities }),
      results: database === undefined ? (rpc === true ? 'rpc' : onRedis ? undefined : redis()) : sqlDriver(database),
    };
  }

  /** A Python client to which `nodeQueue` is ours. */
  openPython(surroundings: Partial<PythonSurroundings> = {}): Promise<PythonClient> {
    return PythonClient.start({ ...this.surroundings, ...surroundings }, this.pythonEnv);
  }

  async startPython(
    queue = this.pythonQueue,
    concurrency = 2,
    options: PythonWorkerOptions = {},
  ): Promise<PythonWorker> {
    this.queues.add(queue);
    const env = this.pythonEnv;
    const worker = await PythonWorker.start(this.surroundings, { queue, concurrency, env, ...options });
    this.pythonWorkers.push(worker);
    return worker;
  }

  /** `celery events --dump`; the test stops it. */
  startDump(): Promise<PythonDump> {
    return PythonDump.start(this.surroundings);
  }

  /** What tasks wrote into the ledger. */
  ledger(): string[] {
    return readFileSync(this.ledgerFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }

  /** Why what is dead in one of our queues is dead. */
  async deadReasons(queue = this.nodeQueue): Promise<string[]> {
    const { inspector } = this.node.stores;
    if (this.init.broker === 'Redis' && inspector !== undefined) {
      const { messages } = await inspector.deadLetters({ queue, limit: 100 });
      return messages.map(({ reason }) => reason);
    }
    return peekReasons(`taskqueue.dead.${queue}`);
  }

  async close(): Promise<void> {
    await Promise.all([this.python.close(), ...this.pythonWorkers.map((worker) => worker.stop())]);
    await Promise.all(this.nodes.map((peer) => peer.close()));
    await this.redis.remove();
    if (this.init.broker === 'RabbitMQ') await removeDeclared(plainAmqpUrl(), this.queues);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get pythonEnv(): Record<string, string> {
    const { maxPriority, database } = this.init;
    return {
      ...(maxPriority === undefined ? {} : { INTEROP_MAX_PRIORITY: String(maxPriority) }),
      // Without the latter Celery does not tell Django the traceback.
      ...(database === undefined ? {} : { INTEROP_DATABASE: database, INTEROP_EXTENDED: '1' }),
    };
  }

  private get surroundings(): PythonSurroundings {
    const { rpc, database } = this.init;
    return {
      broker: this.brokerUrl,
      results: database === undefined ? (rpc === true ? 'rpc://' : this.redis.url) : 'django-db',
      queue: this.pythonQueue,
      nodeQueue: this.nodeQueue,
      ledger: this.ledgerFile,
    };
  }
}

function plainAmqpUrl(): string {
  return process.env['TEST_AMQP_URL'] as string;
}

/** Kombu's spelling of the vhost `/`, which is ours as well. */
function amqpUrl(): string {
  const url = plainAmqpUrl();
  return url.endsWith('/') && !url.endsWith('//') ? `${url}/` : url;
}

async function peekReasons(queue: string): Promise<string[]> {
  const connection = await connect(plainAmqpUrl());
  const channel = await connection.createChannel();
  const reasons: string[] = [];
  await channel.assertQueue(queue, { durable: true });
  for (;;) {
    const message = await channel.get(queue);
    if (message === false) break;
    const ours = message.properties.headers?.['taskqueue'] as { reason?: unknown } | undefined;
    reasons.push(String(ours?.reason));
  }
  // What was looked at goes back.
  await connection.close();
  return reasons;
}
