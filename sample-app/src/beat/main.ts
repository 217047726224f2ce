import { runBeat } from '@taskqueue/nestjs';
import { AppModule } from '../app.module.js';

await runBeat(AppModule);
