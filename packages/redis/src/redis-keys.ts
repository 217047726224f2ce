import type { PriorityScheme } from './kombu-priority.js';
import { PRIORITY_STEPS } from './kombu-priority.js';

/**
 * Every key this package uses. `P` is the option `keyPrefix` (Kombu's `global_keyprefix`), `q` a queue.
 *
 * Shared with Celery and Kombu:
 *
 * | key                             | type   | holds                                                             |
 * | ------------------------------- | ------ | ----------------------------------------------------------------- |
 * | `Pq`                            | list   | ready messages of Kombu's priority 0 to 2; pushed left, taken right |
 * | `Pq␆␖3`, `Pq␆␖6`, `Pq␆␖9`       | list   | the same of 3 to 5, 6 to 8, 9 (`␆␖` are the bytes 06 16)          |
 * | `P_kombu.binding.<exchange>`    | set    | `routing key␆␖pattern␆␖queue`                                     |
 * | `P'celery-task-meta-<task id>`  | string | a result, and the channel on which it is published                |
 * | `P'celery-taskset-meta-<id>.j`  | zset   | members of a chord that have ended: `[1, task id, state, result]` → place |
 * | `P'celery-taskset-meta-<id>.s`  | string | how many they are; `.t`: how many were added later                |
 * | `P'celery-taskset-meta-<id>.taskqueue` | string | ours: the member that completed the chord                  |
 *
 * `P'` is `P`, with a `_` after it unless it ends in one of `:_-.`, as Celery's result backend has it.
 *
 * Ours, for each queue; in braces the hash tag, which is the name of the queue's list, so that in a cluster all keys of
 * a queue are in one slot:
 *
 * | key                                | type   | holds                                                                   |
 * | ---------------------------------- | ------ | ----------------------------------------------------------------------- |
 * | `Ptaskqueue:{Pq}:suspects`         | list   | ready messages that lost a runner before; handed out one at a time      |
 * | `…:leased:<consumer>`              | hash   | `<list>.<number>` → a message leased to the consumer; `@` → see below    |
 * | `…:consumers`                      | zset   | consumer → when its leases end, by the server's clock                    |
 * | `…:delayed`                        | zset   | task id → when it falls due, epoch milliseconds                          |
 * | `…:delayed:messages`               | hash   | task id → digit of its list, then the message                            |
 * | `…:dead`                           | zset   | task id → when it died, epoch microseconds, each a different one         |
 * | `…:dead:messages`                  | hash   | task id → `<length of the reason>:<reason><message>`                     |
 * | `…:ids`                            | set    | task ids of what is ready or leased and was published by us              |
 * | `…:state`                          | hash   | `paused`, `died` (the last score of `dead`)                              |
 * | `…:wake`                           | zset   | a marker that wakes one sleeping consumer                                |
 * | `…:epoch`                          | string | in a cluster: as `epoch` below, for the node of the queue                |
 *
 * A message is in exactly one of the lists, `leased`, `delayed` and `dead`, and goes from one to another in one script.
 * The text of a message is Kombu's envelope; ours begins with a member that Python ignores and hands on,
 * `"taskqueue":[accepted at, times delivered, times its runner was lost]`.
 *
 * `@` in `leased` says that the consumer is registered; its value is the lowest number that its next claim may use, so
 * that a claim that is sent twice, or comes late, leases nothing.
 *
 * Ours, once:
 *
 * | key                            | type   | holds                                                          |
 * | ------------------------------ | ------ | -------------------------------------------------------------- |
 * | `Ptaskqueue:queues`            | set    | names of the queues that were declared or published to         |
 * | `Ptaskqueue:epoch`             | string | a random text; another one or none says that data was lost     |
 * | `Ptaskqueue:{revoked}:log`     | zset   | `<task id> <terminate> <expires>` → position, growing with time |
 * | `Ptaskqueue:{revoked}:expiry`  | zset   | the same members → when they may be forgotten                  |
 *
 * Ours, for each lock and each barrier, whose names are their hash tags:
 *
 * | key                                  | type | holds                                                            |
 * | ------------------------------------ | ---- | ---------------------------------------------------------------- |
 * | `Ptaskqueue:{<key>}:lock`            | zset | owner → when its permit ends, epoch milliseconds                 |
 * | `Ptaskqueue:{<key>}:lock:tokens`     | hash | owner → its token; the empty owner → the last token that was given |
 * | `Ptaskqueue:{<id>}:barrier`          | hash | size, body and members; see lua/barrier-open.lua                 |
 *
 * Channels and lists of pub/sub are Kombu's, `d` being the number of the database: channel `P/d.<exchange>` for fanout,
 * `P/d.<exchange>/<key>` for topic, list `P<key>.<exchange>` for direct.
 *
 * In a cluster the lists of the higher steps are `{Pq}␆␖3` and so on, for the same slot. Kombu cannot use a cluster, so
 * nobody misses the other names there.
 */
export interface QueueKeys {
  readonly queue: string;
  readonly priorities: PriorityScheme;
  /** The lists of ready messages, in the order of Kombu's steps. */
  readonly ready: readonly [string, string, string, string];
  readonly suspects: string;
  readonly consumers: string;
  readonly delayed: string;
  readonly delayedMessages: string;
  readonly dead: string;
  readonly deadMessages: string;
  readonly ids: string;
  readonly state: string;
  readonly wake: string;
  readonly epoch: string;
  /** What the key of a consumer's leases begins with. */
  readonly leasedPrefix: string;
  leased(consumer: string): string;
}

/** Kombu's separator between a queue and its priority step, and between the parts of a binding. */
export const KOMBU_SEPARATOR = '\x06\x16';

/** A text as a hash tag, which ends at the first brace. */
function tagOf(text: string): string {
  return text.replaceAll(/[%}]/g, encodeURIComponent);
}

/** Spells the keys. */
export class RedisKeys {
  readonly queues: string;
  readonly epoch: string;
  readonly revokedLog: string;
  readonly revokedExpiry: string;
  private readonly resultPrefix: string;
  private readonly chordPrefix: string;
  private readonly own: string;
  private readonly known = new Map<string, QueueKeys>();

  constructor(
    private readonly prefix: string,
    private readonly isCluster: boolean,
    readonly priorities: PriorityScheme,
  ) {
    this.own = `${prefix}taskqueue:`;
    this.queues = `${this.own}queues`;
    this.epoch = `${this.own}epoch`;
    this.revokedLog = `${this.own}{revoked}:log`;
    this.revokedExpiry = `${this.own}{revoked}:expiry`;
    const ofResults = prefix === '' || /[:_.-]$/.test(prefix) ? prefix : `${prefix}_`;
    this.resultPrefix = `${ofResults}celery-task-meta-`;
    this.chordPrefix = `${ofResults}celery-taskset-meta-`;
  }

  /** Key and channel of a task's result. */
  result(taskId: string): string {
    return this.resultPrefix + taskId;
  }

  /** Of a chord: its members, its size, what was added to it, and who completed it. */
  chord(groupId: string): readonly [members: string, size: string, added: string, completer: string] {
    const key = this.chordPrefix + groupId;
    return [`${key}.j`, `${key}.s`, `${key}.t`, `${key}.taskqueue`];
  }

  /** A key of ours for something else than a queue, in the slot of `tag`. */
  tagged(tag: string, name: string): string {
    return `${this.own}{${tag}}:${name}`;
  }

  /** The keys of a lock: holders, tokens. */
  lock(key: string): readonly [holders: string, tokens: string] {
    return [this.tagged(tagOf(key), 'lock'), this.tagged(tagOf(key), 'lock:tokens')];
  }

  barrier(id: string): string {
    return this.tagged(tagOf(id), 'barrier');
  }

  /** The channel of something said; `key` may be a pattern. */
  channel(database: number, exchange: string, key: string): string {
    return `${this.prefix}/${database}.${exchange}${key === '' ? '' : `/${key}`}`;
  }

  /** The list in which a queue of that name has its messages, as Kombu's direct exchanges find it. */
  list(queue: string): string {
    return this.prefix + queue;
  }

  /** The set in which Kombu looks up where an exchange leads to. */
  binding(exchange: string): string {
    return `${this.prefix}_kombu.binding.${exchange}`;
  }

  /** What is in that set for a queue whose direct exchange has its own name, as Celery declares them. */
  bindingOf(queue: string): string {
    return [queue, '', queue].join(KOMBU_SEPARATOR);
  }

  queue(name: string): QueueKeys {
    let keys = this.known.get(name);
    if (keys === undefined) {
      keys = this.spell(name);
      this.known.set(name, keys);
    }
    return keys;
  }

  private spell(queue: string): QueueKeys {
    const list = this.prefix + queue;
    const own = `${this.own}{${list}}:`;
    const step = (number: number): string => `${this.isCluster ? `{${list}}` : list}${KOMBU_SEPARATOR}${number}`;
    const leasedPrefix = `${own}leased:`;
    return {
      queue,
      priorities: this.priorities,
      ready: [list, step(PRIORITY_STEPS[1]), step(PRIORITY_STEPS[2]), step(PRIORITY_STEPS[3])],
      suspects: `${own}suspects`,
      consumers: `${own}consumers`,
      delayed: `${own}delayed`,
      delayedMessages: `${own}delayed:messages`,
      dead: `${own}dead`,
      deadMessages: `${own}dead:messages`,
      ids: `${own}ids`,
      state: `${own}state`,
      wake: `${own}wake`,
      epoch: `${own}epoch`,
      leasedPrefix,
      leased: (consumer) => leasedPrefix + consumer,
    };
  }
}
