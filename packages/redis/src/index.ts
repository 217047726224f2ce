export { createDriver, redisDriver } from './redis-driver.js';
export type { RedisDriverOptions } from './redis-options.js';
export { REDIS_SCHEMES } from './redis-url.js';
