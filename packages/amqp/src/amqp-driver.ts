import type { Broker, Driver, DriverContext, Logger, PubSub, QueueInspector, ResultBackend } from '@taskqueue/core';
import { silentLogger } from '@taskqueue/core';
import { AmqpBroker } from './amqp-broker.js';
import { AmqpConnection, within } from './amqp-connection.js';
import { AmqpDeadExchange } from './amqp-dead-exchange.js';
import { AmqpDeadLetters } from './amqp-dead-letters.js';
import { AmqpDelayTopology } from './amqp-delay-topology.js';
import type { FleetNews } from './amqp-fleet.js';
import { AmqpFleet } from './amqp-fleet.js';
import { AmqpGate } from './amqp-gate.js';
import { AmqpInnocents } from './amqp-innocents.js';
import { AmqpInspector } from './amqp-inspector.js';
import { AmqpManagement } from './amqp-management.js';
import type { AmqpDriverOptions, ResolvedAmqpOptions } from './amqp-options.js';
import { describeLocation, resolveOptions } from './amqp-options.js';
import { AmqpPubSub } from './amqp-pub-sub.js';
import { AmqpPublisher } from './amqp-publisher.js';
import { AmqpRpcResults } from './amqp-rpc-results.js';
import { AmqpTopology } from './amqp-topology.js';

/**
 * Broker, inspector, pub/sub and results by rpc on RabbitMQ 3.10 or newer over AMQP 0-9-1, in Celery's layout. Throws ConfigurationError for options that cannot
 * be used.
 */
export function amqpDriver(options: AmqpDriverOptions = {}): Driver {
  return new AmqpDriver(resolveOptions(options));
}

/** The driver for a URL, as the configuration calls it. Throws ConfigurationError. */
export function createDriver(url: string): Driver {
  return amqpDriver({ url });
}

const PING_MS = 5_000;

class AmqpDriver implements Driver {
  readonly name = 'amqp';
  readonly contract = 1;
  readonly broker: Broker;
  readonly inspector: QueueInspector;
  readonly rpc: ResultBackend;
  readonly pubsub: PubSub;
  private readonly innocents = new AmqpInnocents();
  private readonly gate: AmqpGate;
  private readonly rpcResults: AmqpRpcResults;
  private readonly amqpPubSub: AmqpPubSub;
  private readonly amqpBroker: AmqpBroker;
  private readonly publisher: AmqpPublisher;
  private readonly deadExchange: AmqpDeadExchange;
  private readonly topology: AmqpTopology;
  private readonly delays: AmqpDelayTopology;
  private readonly consuming: AmqpConnection;
  private readonly publishing: AmqpConnection;
  private readonly delaying: AmqpConnection;
  private connecting: Promise<void> | undefined;
  private logger: Logger = silentLogger;

  constructor(private readonly options: ResolvedAmqpOptions) {
    const logger = (): Logger => this.logger;
    this.consuming = new AmqpConnection(options, 'consuming', logger);
    this.publishing = new AmqpConnection(options, 'publishing', logger);
    this.delaying = new AmqpConnection(options, 'delaying', logger);
    this.topology = new AmqpTopology(this.consuming, options);
    this.delays = new AmqpDelayTopology({
      connection: this.consuming,
      topology: this.topology,
      settings: options,
      logger,
    });
    this.publisher = new AmqpPublisher({
      connection: this.publishing,
      delaying: this.delaying,
      topology: this.topology,
      delays: this.delays,
      settings: options,
    });
    this.amqpPubSub = new AmqpPubSub({
      consuming: this.consuming,
      publishing: this.publishing,
      topology: this.topology,
      maxMessageBytes: options.maxMessageBytes,
      logger,
    });
    this.deadExchange = new AmqpDeadExchange({ pubsub: this.amqpPubSub, logger });
    const fleet = new AmqpFleet({ pubsub: this.amqpPubSub, logger, onNews: (news) => this.hear(news) });
    const { innocents, topology, publisher } = this;
    const parts = { connection: this.consuming, topology, publisher, innocents, fleet, logger };
    this.gate = new AmqpGate(parts);
    this.amqpBroker = new AmqpBroker({
      ...parts,
      delays: this.delays,
      deadExchange: this.deadExchange,
      gate: this.gate,
      settings: options,
    });
    this.inspector = new AmqpInspector({
      ...parts,
      gate: this.gate,
      deadLetters: new AmqpDeadLetters(this.consuming, topology),
      management: managementOf(options),
    });
    this.broker = this.amqpBroker;
    this.rpcResults = new AmqpRpcResults({
      connection: this.consuming,
      publisher,
      maxMessageBytes: options.maxMessageBytes,
    });
    this.rpc = this.rpcResults;
    this.pubsub = this.amqpPubSub;
  }

  describe(): string {
    return describeLocation(this.options);
  }

  connect(context: DriverContext): Promise<void> {
    this.logger = context.logger;
    this.connecting ??= this.open(context).catch((error: unknown) => {
      this.connecting = undefined;
      throw error;
    });
    return this.connecting;
  }

  async close(): Promise<void> {
    await this.connecting?.catch(() => undefined);
    if (this.connecting === undefined) return;
    this.connecting = undefined;
    await this.amqpBroker.close();
    await this.rpcResults.close();
    await this.deadExchange.close();
    await this.amqpPubSub.close();
    await this.publisher.close();
    this.delays.close();
    await Promise.all([this.consuming, this.publishing, this.delaying].map((connection) => connection.close()));
  }

  /** Asks the server something: a connection that is only believed to be open does not count. */
  async ping(): Promise<void> {
    await within(
      PING_MS,
      this.topology.run(async (channel) => {
        // It changes nothing, and everybody may: to look at an exchange takes the right to configure it since 4.3.
        await channel.prefetch(0);
      }),
    );
  }

  private hear(news: FleetNews): void {
    if (news.kind === 'gate') this.gate.told(news.queue);
    else for (const [id, deliveries] of news.messages) this.innocents.remember(news.queue, id, deliveries);
  }

  private async open(context: DriverContext): Promise<void> {
    context.signal?.throwIfAborted();
    await this.consuming.open();
  }
}

function managementOf({
  managementUrl: url,
  vhost,
  username,
  password,
}: ResolvedAmqpOptions): AmqpManagement | undefined {
  return url === undefined ? undefined : new AmqpManagement({ url, vhost, username, password });
}
