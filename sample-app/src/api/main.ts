import { Logger } from '@nestjs/common';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { adminKey } from '../admin/admin-key.js';
import { endWithParent } from '../end-with-parent.js';
import { BadRequestFilter } from '../http/bad-request.filter.js';
import { RequestPipe } from '../http/validation.pipe.js';
import { quietStart } from '../quiet-logger.js';
import { settings } from '../settings.js';
import { ApiModule } from './api.module.js';

quietStart();
endWithParent();
const app = await NestFactory.create(ApiModule);
app.useGlobalPipes(new RequestPipe());
app.useGlobalFilters(new BadRequestFilter(app.get(HttpAdapterHost).httpAdapter));
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });

const document = new DocumentBuilder()
  .setTitle('Storefront')
  .setDescription('A small shop that does its slow work in the background')
  .addApiKey({ type: 'apiKey', name: 'x-api-key', in: 'header' }, 'admin')
  .build();
SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, document));

await app.listen(settings.port).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRINUSE') throw error;
  process.stderr.write(`Port ${settings.port} is in use. Choose another one, e.g. PORT=${settings.port + 1}.\n`);
  process.exit(1);
});
const logger = new Logger('Storefront');
const url = `http://localhost:${settings.port}`;
logger.log(`API on ${url}, its documentation on ${url}/docs`);
if (adminKey.generated) logger.log(`Admin key of this run (header x-api-key): ${adminKey.value}`);
const example = `curl ${url}/playground/hello -H 'content-type: application/json' -d '{"message":"We are open!"}'`;
if (!settings.production) logger.log(`Give it ten seconds of work: ${example}`);
