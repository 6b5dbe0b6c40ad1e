/** The sections of a page, in their order. */
import type { Section } from './section.js';
import { diffSection } from './sections/diff.js';
import { explanationSection, faithfulnessSection } from './sections/explanation.js';
import { flipsSection } from './sections/flips.js';
import { benchSection, profileSection } from './sections/latency.js';
import { layersSection, sensitivitySection, widthsSection } from './sections/layers.js';
import { provenanceSection, skippedSection } from './sections/provenance.js';
import { confusionSection, qualitySection } from './sections/quality.js';
import { candidatesSection, recipeSection } from './sections/recipe.js';
import { sizeSection } from './sections/size.js';
import { trainingSection } from './sections/training.js';
import { activationsSection, weightsSection } from './sections/weights.js';

export const sections: readonly Section[] = Object.freeze([
  recipeSection,
  candidatesSection,
  qualitySection,
  flipsSection,
  confusionSection,
  explanationSection,
  faithfulnessSection,
  trainingSection,
  sizeSection,
  benchSection,
  profileSection,
  layersSection,
  sensitivitySection,
  widthsSection,
  weightsSection,
  activationsSection,
  diffSection,
  skippedSection,
  provenanceSection,
]);
