import { BrokerError } from '@taskqueue/core';

/** A queue as the management plugin lists it. Its numbers are up to five seconds old. */
export interface ManagedQueue {
  readonly name: string;
  readonly ready: number;
  /** Undefined until the plugin has heard of it first. */
  readonly unacknowledged: number | undefined;
  /** When the oldest ready message was published, epoch milliseconds, where the queue and its sender tell. */
  readonly headAt: number | undefined;
}

export interface AmqpManagementOptions {
  /** `http://user:password@host:15672`. */
  readonly url: string;
  readonly vhost: string;
  /** For a URL without them. */
  readonly username: string;
  readonly password: string;
}

const PATIENCE_MS = 5_000;
const COLUMNS = 'name,durable,auto_delete,exclusive,messages_ready,messages_unacknowledged,head_message_timestamp';

/** The HTTP API of RabbitMQ's management plugin, for what AMQP cannot answer. */
export class AmqpManagement {
  constructor(private readonly options: AmqpManagementOptions) {}

  /** The durable queues of the vhost by name. Rejects with BROKER_UNAVAILABLE, or CAPABILITY_UNSUPPORTED for a user who may not. */
  async queues(): Promise<ReadonlyMap<string, ManagedQueue>> {
    const listed = await this.get(`/api/queues/${encodeURIComponent(this.options.vhost)}?columns=${COLUMNS}`);
    if (!Array.isArray(listed)) throw unavailable('it did not answer with a list of queues');
    const queues = new Map<string, ManagedQueue>();
    for (const one of listed as Readonly<Record<string, unknown>>[]) {
      if (one['durable'] !== true || one['auto_delete'] === true || typeof one['name'] !== 'string') continue;
      const head = number(one['head_message_timestamp']);
      queues.set(one['name'], {
        name: one['name'],
        ready: number(one['messages_ready']) ?? 0,
        unacknowledged: number(one['messages_unacknowledged']),
        headAt: head === undefined ? undefined : head * 1_000,
      });
    }
    return queues;
  }

  private async get(path: string): Promise<unknown> {
    const { url, username, password } = this.options;
    const where = new URL(url);
    const user = where.username === '' ? username : decodeURIComponent(where.username);
    const secret = where.username === '' ? password : decodeURIComponent(where.password);
    const authorization = `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
    let response: Response;
    try {
      response = await fetch(`${where.origin}${where.pathname.replace(/\/$/, '')}${path}`, {
        headers: { authorization },
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch (error) {
      throw unavailable(String((error as { cause?: unknown }).cause ?? error));
    }
    if (response.status === 401 || response.status === 403) throw forbidden(user, response.status);
    if (!response.ok) throw unavailable(`it answered with status ${response.status}`);
    return response.json();
  }
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function unavailable(reason: string): BrokerError {
  return new BrokerError({
    code: 'BROKER_UNAVAILABLE',
    message: `RabbitMQ's management API cannot be asked: ${reason}.`,
    remedy:
      'See that managementUrl is right and that the plugin rabbitmq_management is enabled, or leave managementUrl out.',
    retryable: true,
    fields: { field: 'managementUrl' },
  });
}

function forbidden(user: string, status: number): BrokerError {
  return new BrokerError({
    code: 'CAPABILITY_UNSUPPORTED',
    message: `RabbitMQ's management API refuses the user ${JSON.stringify(user)} (${status}).`,
    remedy: 'Give the user the tag monitoring (rabbitmqctl set_user_tags), or put another one into managementUrl.',
    fields: { field: 'managementUrl' },
  });
}
