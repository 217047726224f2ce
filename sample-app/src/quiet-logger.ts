import { ConsoleLogger, Logger } from '@nestjs/common';

/** What Nest says of every module and route while it starts; three processes would fill a screen each. */
const START_UP = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

class QuietLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: [...unknown[]]): void {
    const context = rest.at(-1);
    if (typeof context !== 'string' || !START_UP.has(context)) super.log(message, ...rest);
  }
}

/** Leaves the log to what the storefront does. */
export function quietStart(): void {
  Logger.overrideLogger(new QuietLogger());
}
