import { CreateTaskqueue1763700000000 } from './1763700000000-create-taskqueue.js';
import { CreateCoordination1763800000000 } from './1763800000000-create-coordination.js';

/** Our migrations, oldest first: for the `migrations` of a data source whose owner runs them himself. */
export const TASK_QUEUE_MIGRATIONS = [CreateTaskqueue1763700000000, CreateCoordination1763800000000];
