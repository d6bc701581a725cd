// SPDX-License-Identifier: Apache-2.0
// scripts/bench.mjs RUNTIME MODEL RUNS: the median time of one run on onnxruntime-web, in milliseconds. The model's shapes
// are fixed; its inputs are zero, which costs as much as any other value.
import { createRequire } from 'node:module';
import path from 'node:path';

const [runtime, model, runs] = process.argv.slice(2);
const ort = createRequire(path.resolve(runtime) + '/')('onnxruntime-web');
ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';
const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], logSeverityLevel: 3 });
const feeds = {};
for (const input of session.inputMetadata)
	feeds[input.name] = new ort.Tensor('float32', new Float32Array(input.shape.reduce((a, b) => a * b, 1)), input.shape);
const times = [];
for (let i = -3; i < +runs; i++) {
	const start = performance.now();
	await session.run(feeds);
	if (i >= 0) times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
console.log(times[times.length >> 1].toFixed(3));
