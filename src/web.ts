/**
 * pare in pages: the engine over onnxruntime-web. The library that runs everywhere is index.ts.
 */
export { createWebEngine, type WebEngineOptions } from './engine/web.js';
