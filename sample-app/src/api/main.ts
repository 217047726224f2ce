import { Logger, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { adminKey } from '../admin/admin-key.js';
import { settings } from '../settings.js';
import { ApiModule } from './api.module.js';

const app = await NestFactory.create(ApiModule);
app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }));
app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });

const document = new DocumentBuilder()
  .setTitle('Storefront')
  .setDescription('A small shop that does its slow work in the background')
  .addApiKey({ type: 'apiKey', name: 'x-api-key', in: 'header' }, 'admin')
  .build();
SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, document));

await app.listen(settings.port);
const logger = new Logger('Storefront');
logger.log(`API on http://localhost:${settings.port}, its documentation on http://localhost:${settings.port}/docs`);
if (adminKey.generated) logger.log(`Admin key of this run (header x-api-key): ${adminKey.value}`);
