// The client that @taskqueue/redis uses. It lives in that package's own folder: TypeORM's optional peer is an older major,
// so the root cannot have it.
import { createRequire } from 'node:module';

export const { Redis } = createRequire(new URL('../../packages/redis/package.json', import.meta.url))('ioredis');
