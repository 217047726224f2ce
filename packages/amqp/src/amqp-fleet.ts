import type { ChannelSubscription, EncodedMessage, Logger, PubSub } from '@taskqueue/core';

/** What the processes of one vhost tell each other. All of it is a hint: whoever misses it finds out, only later. */
export type FleetNews =
  /** A queue was paused or resumed: look. */
  | { readonly kind: 'gate'; readonly queue: string }
  /** These were looked at and given back, and come again with the broker's flag of those that were lost. */
  | {
      readonly kind: 'excused';
      readonly queue: string;
      /** Id and deliveries so far, the look included. */
      readonly messages: readonly (readonly [string, number])[];
    };

const CHANNEL = { exchange: 'taskqueue.fleet', kind: 'fanout', key: '' } as const;

/** News among the processes that use this vhost, on a fanout exchange of ours. */
export class AmqpFleet {
  private subscription: ChannelSubscription | undefined;

  constructor(
    private readonly options: {
      readonly pubsub: PubSub;
      readonly logger: () => Logger;
      readonly onNews: (news: FleetNews) => void;
    },
  ) {}

  /** Resolves when news is heard. Rejects where that is not allowed, or not possible just now. */
  async join(): Promise<void> {
    this.subscription ??= this.options.pubsub.subscribe([CHANNEL], (publication) => this.hear(publication.message));
    await this.subscription.ready;
  }

  /** Never rejects. */
  async tell(news: FleetNews): Promise<void> {
    const message: EncodedMessage = {
      headers: {},
      properties: {},
      contentType: 'application/json',
      contentEncoding: 'utf-8',
      body: Buffer.from(JSON.stringify(news)),
    };
    try {
      await this.options.pubsub.publish([{ channel: CHANNEL, message }]);
    } catch (error) {
      this.options
        .logger()
        .debug(`The other processes could not be told of ${news.kind}: ${String(error)}`, 'TaskQueue');
    }
  }

  private hear({ body }: EncodedMessage): void {
    const news = parsed(Buffer.from(body).toString());
    if (news !== undefined) this.options.onNews(news);
  }
}

function parsed(text: string): FleetNews | undefined {
  try {
    const news = JSON.parse(text) as Partial<FleetNews> | null;
    if (typeof news?.queue !== 'string') return undefined;
    if (news.kind === 'gate') return news as FleetNews;
    return news.kind === 'excused' && Array.isArray(news.messages) ? (news as FleetNews) : undefined;
  } catch {
    return undefined;
  }
}
