import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Controller, HttpCode, Injectable, Module, Post, UploadedFile, UseInterceptors } from '@nestjs/common';
import { FileInterceptor } from '@nestjs/platform-express';
import { ApiAcceptedResponse, ApiBody, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Reject, SharedTask, Task, TaskClient, TaskHost } from '@taskqueue/nestjs';
import type { TaskContext } from '@taskqueue/nestjs';
import type { Metadata } from 'sharp';
import sharp from 'sharp';
import { z } from 'zod';
import { InvalidFields } from '../http/field-error.js';
import { settings } from '../settings.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';

const WIDTHS = [64, 256, 1_024] as const;
const MAX_UPLOAD_BYTES = 20 * 1_048_576;
/** What is decoded takes four bytes a pixel. */
const MOST_PIXELS = 50_000_000;
const FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'gif', 'heif', 'tiff']);
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

/** Only the header is read: whether the rest can be, the task will see. */
async function checkImage(content: Buffer): Promise<void> {
  const { format, width = 0, height = 0 } = await headerOf(content);
  if (format === undefined || !FORMATS.has(format)) {
    throw new InvalidFields([{ field: 'file', message: `must be an image of one of: ${[...FORMATS].join(', ')}` }]);
  }
  if (width * height > MOST_PIXELS) {
    throw new InvalidFields([{ field: 'file', message: `must not have more than ${MOST_PIXELS} pixels` }]);
  }
}

async function headerOf(content: Buffer): Promise<Partial<Metadata>> {
  try {
    return await sharp(content).metadata();
  } catch {
    return {};
  }
}

async function thumbnail(original: Buffer, width: number): Promise<Buffer> {
  try {
    return await sharp(original, { limitInputPixels: MOST_PIXELS })
      .rotate()
      .resize({ width, withoutEnlargement: true })
      .webp()
      .toBuffer();
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
  @UseInterceptors(FileInterceptor('file', { limits: { fileSize: MAX_UPLOAD_BYTES, files: 1, fields: 0 } }))
  async upload(@UploadedFile() file: { readonly buffer: Buffer } | undefined): Promise<TaskAccepted> {
    if (file === undefined)
      throw new InvalidFields([{ field: 'file', message: 'send the image as the multipart field "file"' }]);
    await checkImage(file.buffer);
    const imageId = randomUUID();
    await mkdir(FOLDER, { recursive: true });
    await writeFile(join(FOLDER, imageId), file.buffer);
    const handle = await this.tasks.for(ImageTasks).makeThumbnails.delay(imageId);
    return { taskId: handle.id };
  }
}

@Module({ controllers: [ImagesController], providers: [ImageTasks] })
export class ImagesModule {}
