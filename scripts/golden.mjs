// SPDX-License-Identifier: Apache-2.0
// scripts/golden.mjs RUNTIME OUT PHOTO-INPUT.npy WIDTH HEIGHT NAME=MODEL...: runs models on onnxruntime-web (installed in
// RUNTIME/node_modules) and writes what they answer to OUT. Called by scripts/golden.sh; tests/golden/README.md says what
// the files are. Shares no code with the C side: it has to be able to disagree with it.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [runtime, out, photoInput, photoWidth, photoHeight, ...models] = process.argv.slice(2);
const ort = createRequire(path.resolve(runtime) + '/')('onnxruntime-web');
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

// What every golden run is: input shape, seed of the input, and its amplitude (a power of two, so that it stays exact).
const runs = {
	'blazeface-front': { shape: [1, 128, 128, 3], seed: 1001, amplitude: 1 },
	'blazeface-back': { shape: [1, 256, 256, 3], seed: 1002, amplitude: 1 },
	'ppocr-cls': { shape: [1, 3, 48, 192], seed: 1003, amplitude: 1 },
	// Fainter noise leaves every probability below 0.001, where the runtime's own sigmoid is good to 1e-7 only.
	'ppocr-det': { shape: [1, 3, 160, 160], seed: 3, amplitude: 16 },
	'ppocr-rec': { shape: [1, 3, 48, 64], seed: 1005, amplitude: 1 },
};

function* xorshift(seed) {
	let x = seed >>> 0;
	for (;;) {
		x = (x ^ (x << 13)) >>> 0;
		x = (x ^ (x >>> 17)) >>> 0;
		x = (x ^ (x << 5)) >>> 0;
		yield (x >>> 8) / 8388608 - 1; // exact in float32
	}
}

function randomTensor({ shape, seed, amplitude }) {
	const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
	const source = xorshift(seed);
	for (let i = 0; i < data.length; i++) data[i] = source.next().value * amplitude;
	return new ort.Tensor('float32', data, shape);
}

function writeNpy(file, tensor) {
	const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tensor.dims.map((d) => d + ',').join(' ')}), }`;
	const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
	const head = Buffer.alloc(10);
	head.write('\x93NUMPY\x01\x00', 'latin1');
	head.writeUInt16LE(header.length, 8);
	fs.writeFileSync(file, Buffer.concat([head, Buffer.from(header, 'latin1'), Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)]));
}

function readNpy(file) {
	const bytes = fs.readFileSync(file);
	const start = 10 + bytes.readUInt16LE(8);
	return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
}

const options = { executionProviders: ['wasm'], logSeverityLevel: 3 };
const sessions = {};
for (const model of models) {
	const [name, file] = model.split('=');
	sessions[name] = await ort.InferenceSession.create(file, options);
}

const index = {};
for (const [name, session] of Object.entries(sessions)) {
	const run = runs[name];
	const results = await session.run({ [session.inputNames[0]]: randomTensor(run) });
	index[name] = { input: session.inputNames[0], ...run, outputs: [] };
	session.outputNames.forEach((output, i) => {
		const file = `${name}.${i}.npy`;
		writeNpy(path.join(out, file), results[output]);
		index[name].outputs.push({ name: output, shape: results[output].dims, file });
	});
}
fs.writeFileSync(path.join(out, 'index.json'), JSON.stringify(index, null, 2) + '\n');

// --- the faces on the photograph: decode the answer of blazeface-back to the photo's own letterboxed input

const size = 256;
const results = await sessions['blazeface-back'].run({ 'input:0': new ort.Tensor('float32', readNpy(photoInput), [1, size, size, 3]) });
const candidates = [];
for (const [scores, boxes, cells, perCell] of [['Identity:0', 'Identity_2:0', 16, 2], ['Identity_1:0', 'Identity_3:0', 8, 6]]) {
	for (let row = 0, at = 0; row < cells; row++)
		for (let column = 0; column < cells; column++)
			for (let k = 0; k < perCell; k++, at++) {
				const score = 1 / (1 + Math.exp(-results[scores].data[at]));
				if (score <= 0.6) continue;
				const v = results[boxes].data.slice(at * 16, at * 16 + 16);
				const cx = (column + 0.5) * (size / cells), cy = (row + 0.5) * (size / cells);
				const points = [];
				for (let p = 4; p < 16; p += 2) points.push(cx + v[p], cy + v[p + 1]);
				// left, top, right, bottom, then six points, in input pixels
				candidates.push({ score, values: [cx + v[0] - v[2] / 2, cy + v[1] - v[3] / 2, cx + v[0] + v[2] / 2, cy + v[1] + v[3] / 2, ...points] });
			}
}

function iou(a, b) {
	const overlap = (lo1, hi1, lo2, hi2) => Math.max(0, Math.min(hi1, hi2) - Math.max(lo1, lo2));
	const area = (q) => (q[2] - q[0]) * (q[3] - q[1]);
	const both = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
	return both / (area(a) + area(b) - both);
}

candidates.sort((a, b) => b.score - a.score);
const scale = Math.min(size / photoWidth, size / photoHeight);
const inner = [photoWidth, photoHeight].map((side) => Math.round(side * scale));
const border = inner.map((side) => Math.floor((size - side) / 2));
const faces = [];
while (candidates.length) {
	const group = candidates.filter((c) => iou(c.values, candidates[0].values) >= 0.3);
	const total = group.reduce((sum, c) => sum + c.score, 0);
	const mean = group[0].values.map((_, i) => group.reduce((sum, c) => sum + c.values[i] * c.score, 0) / total);
	const pixels = mean.map((value, i) => ((value - border[i % 2]) * [photoWidth, photoHeight][i % 2]) / inner[i % 2]);
	const keypoints = [];
	for (let p = 4; p < 16; p += 2) keypoints.push([pixels[p], pixels[p + 1]]);
	faces.push({ score: group[0].score, box: pixels.slice(0, 4), keypoints });
	for (const member of group) candidates.splice(candidates.indexOf(member), 1);
}
fs.writeFileSync(path.join(out, 'faces.json'), JSON.stringify({ width: +photoWidth, height: +photoHeight, faces }, null, 2) + '\n');
console.log(`${faces.length} faces, ${Object.keys(index).length} models`);
