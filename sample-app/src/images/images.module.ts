import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Controller, HttpCode, Injectable, Module, Post, UploadedFile, UseInterceptors } from '@nestjs/common';
import { FileInterceptor } from '@nestjs/platform-express';
import { ApiAcceptedResponse, ApiBody, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Reject, SharedTask, Task, TaskClient, TaskHost } from '@taskqueue/nestjs';
import type { TaskContext } from '@taskqueue/nestjs';
import sharp from 'sharp';
import { z } from 'zod';
import { InvalidFields } from '../http/field-error.js';
import { settings } from '../settings.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';

const WIDTHS = [64, 256, 1_024] as const;
const MAX_UPLOAD_BYTES = 20 * 1_048_576;
const FOLDER = join(settings.dataDir, 'images');

export interface Thumbnails {
  readonly imageId: string;
  readonly files: readonly string[];
}

/** Images travel by reference: the upload is a file, the message holds its id. */
@Injectable()
@TaskHost({ name: 'images', queue: 'images', timeLimit: '2m' })
export class ImageTasks {
  @SharedTask({ schema: z.uuid(), params: ['imageId'] })
  async makeThumbnails(imageId: string, @Task() task: TaskContext): Promise<Thumbnails> {
    const original = await readFile(join(FOLDER, imageId));
    const files: string[] = [];
    for (const [index, width] of WIDTHS.entries()) {
      task.signal.throwIfAborted();
      const file = `${imageId}-${width}.webp`;
      await writeFile(join(FOLDER, file), await thumbnail(original, width));
      files.push(file);
      await task.progress({ done: index + 1, of: WIDTHS.length });
    }
    return { imageId, files };
  }
}

async function thumbnail(original: Buffer, width: number): Promise<Buffer> {
  try {
    return await sharp(original).rotate().resize({ width, withoutEnlargement: true }).webp().toBuffer();
  } catch (error) {
    throw new Reject(`This is not an image that can be read: ${String(error)}`, { cause: error });
  }
}

@ApiTags('storefront')
@Controller('images')
export class ImagesController {
  constructor(private readonly tasks: TaskClient) {}

  @ApiOperation({ summary: 'An image, from which thumbnails are made' })
  @Post()
  @HttpCode(202)
  @ApiConsumes('multipart/form-data')
  @ApiBody({ schema: { type: 'object', properties: { file: { type: 'string', format: 'binary' } } } })
  @ApiAcceptedResponse({ type: TaskAccepted })
  @UseInterceptors(FileInterceptor('file', { limits: { fileSize: MAX_UPLOAD_BYTES, files: 1 } }))
  async upload(@UploadedFile() file: { readonly buffer: Buffer } | undefined): Promise<TaskAccepted> {
    if (file === undefined)
      throw new InvalidFields([{ field: 'file', message: 'send the image as the multipart field "file"' }]);
    const imageId = randomUUID();
    await mkdir(FOLDER, { recursive: true });
    await writeFile(join(FOLDER, imageId), file.buffer);
    const handle = await this.tasks.for(ImageTasks).makeThumbnails.delay(imageId);
    return { taskId: handle.id };
  }
}

@Module({ controllers: [ImagesController], providers: [ImageTasks] })
export class ImagesModule {}
