import { runWorker } from '@taskqueue/nestjs';
import { AppModule } from '../app.module.js';
import { endWithParent } from '../end-with-parent.js';
import { quietStart } from '../quiet-logger.js';

quietStart();
endWithParent();
await runWorker(AppModule);
