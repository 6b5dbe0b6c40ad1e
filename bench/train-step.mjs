/** The training step of a model with the numbers of one batch, as bench/train.mjs measures it. */

/** @param pare see train-modules.mjs */
export async function stepOf(pare, engine, model, batch) {
  await pare.inferShapes(engine, model);
  const options = pare.finetuneOptions.parse({
    loss: 'cross-entropy',
    weightDecay: 0,
    // A rate that is a length, as the peer's.
    relative: false,
  });
  const plan = pare.planLosses(model, options, { hasTeacher: false, hasLabels: true });
  const step = await pare.buildStep(
    model,
    { losses: plan.terms, optimizer: options, batchSize: batch },
    engine,
  );
  const own = new Set([...step.state.keys(), step.learningRate, step.step]);
  const feeds = {};
  for (const { name, dataType, dims } of step.model.graph.inputs) {
    if (own.has(name)) continue;
    const count = dims.reduce((product, dim) => product * dim, 1);
    // The same numbers as the peer's, by the golden ratio.
    const data =
      dataType === 'int64'
        ? BigInt64Array.from({ length: count }, (_, at) => BigInt(at % classesOf(model)))
        : Float32Array.from(
            { length: count },
            (_, at) => ((at * 2654435761) % 4294967296) / 4294967296,
          );
    feeds[name] = pare.hostTensor(dataType, dims, data);
  }
  return { step, feeds };
}

function classesOf({ graph }) {
  const dim = graph.outputs[0].dims?.at(-1);
  return typeof dim === 'number' ? dim : 2;
}
