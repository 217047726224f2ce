import { runWorker } from '@taskqueue/nestjs';
import { AppModule } from '../app.module.js';

await runWorker(AppModule);
