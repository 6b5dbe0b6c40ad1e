import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeModel } from './decode.js';
import { encodeModelExternal } from './encode.js';
import { openExternals } from './external.js';
import { type NodeExternalFiles, nodeExternalFiles } from './node-external.js';
import { nodeFileSource } from './node-file-source.js';
import { ModelProtoSchema } from './schema/onnx_pb.js';
import { Tensor } from './tensor.js';
import { tensorFromProto, tensorToProto } from './tensor-proto.js';

let root: string;
let external: NodeExternalFiles;
const inside = (...path: string[]) => join(root, 'model', ...path);

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'pare-external-'));
  await mkdir(inside('sub'), { recursive: true });
  await writeFile(join(root, 'secret'), 'secret');
  await writeFile(inside('model.onnx'), 'model');
  await writeFile(inside('weights'), Uint8Array.of(1, 2, 3, 4));
  await writeFile(inside('sub', 'weights'), Uint8Array.of(5, 6));
  external = nodeExternalFiles(inside('model.onnx'));
});

afterEach(async () => {
  await external.close();
  await rm(root, { recursive: true });
});

describe('nodeExternalFiles', () => {
  it('opens files in the folder and below it', async () => {
    expect(await (await external.files('weights')).slice(1, 3)).toEqual(Uint8Array.of(2, 3));
    expect((await external.files('./sub/weights')).byteLength).toBe(2);
  });

  it('follows links that stay in the folder', async () => {
    await symlink(inside('weights'), inside('sub', 'link'));
    expect((await external.files('sub/link')).byteLength).toBe(4);
  });

  it('refuses links that lead outside: of files, of folders, in a chain', async () => {
    await symlink(join(root, 'secret'), inside('file-link'));
    await symlink(root, inside('folder-link'));
    await symlink(inside('file-link'), inside('chain'));
    // A sibling whose name begins with the folder's name is outside too.
    await mkdir(join(root, 'model-2'));
    await writeFile(join(root, 'model-2', 'w'), '');
    await symlink(join(root, 'model-2', 'w'), inside('sibling'));
    for (const location of ['file-link', 'folder-link/secret', 'chain', 'sibling']) {
      await expect(external.files(location)).rejects.toMatchObject({
        code: 'invalid-model',
        message: expect.stringContaining("leads outside of the model's folder"),
      });
    }
  });

  it('refuses unsafe locations and missing files', async () => {
    for (const location of [
      '../secret',
      join(root, 'secret'),
      'sub/../../secret',
      'none',
      'weights/x',
    ]) {
      await expect(external.files(location)).rejects.toMatchObject({ code: 'invalid-model' });
    }
    await expect(external.files('sub')).rejects.toThrow('not a regular file');
  });

  it('takes a model that is itself a link, as in a download cache', async () => {
    await mkdir(join(root, 'snapshot'));
    await symlink(inside('model.onnx'), join(root, 'snapshot', 'model.onnx'));
    await symlink(inside('weights'), join(root, 'snapshot', 'w'));
    await symlink(join(root, 'secret'), join(root, 'snapshot', 'secret'));
    const linked = nodeExternalFiles(join(root, 'snapshot', 'model.onnx'));
    expect((await linked.files('w')).byteLength).toBe(4);
    await expect(linked.files('secret')).rejects.toMatchObject({ code: 'invalid-model' });
    await linked.close();
  });

  it('reads back a model that was written with external data', async () => {
    const weight = Tensor.of('float', [500], Float32Array.from({ length: 500 }, Math.sqrt));
    const proto = create(ModelProtoSchema, {
      irVersion: 10n,
      opsetImport: [{ version: 21n }],
      graph: { initializer: [] },
    });
    const message = tensorToProto(weight, 'w');
    proto.graph!.initializer.push(message);
    const encoding = await encodeModelExternal(
      { proto, contents: new Map([[message, weight]]) },
      { location: 'model.onnx.data' },
    );
    await writeFile(inside('model.onnx'), encoding.parts);
    await writeFile(inside('model.onnx.data'), encoding.files[0]!.parts());

    const source = await nodeFileSource(inside('model.onnx'));
    const back = await decodeModel(source);
    await source.close();
    const externals = await openExternals(back, external.files);
    const tensor = tensorFromProto(back.graph!.initializer[0]!, externals);
    expect(await tensor.floats()).toEqual(await weight.floats());
  });
});

describe('nodeFileSource', () => {
  it('says when a file is missing, no file, or became shorter', async () => {
    await expect(nodeFileSource(inside('none'))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('no such file'),
    });
    await expect(nodeFileSource(inside('sub'))).rejects.toMatchObject({ code: 'io' });
    const source = await nodeFileSource(inside('weights'));
    await truncate(inside('weights'), 2);
    await expect(source.slice(0, 4)).rejects.toThrow('the file ends at byte 2');
    await expect(source.slice(0, 5)).rejects.toMatchObject({ code: 'io' });
    await source.close();
  });
});
