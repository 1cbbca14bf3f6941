#pragma once

#include "core/adapter/method.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// What a step of a run reads: the sequences of its batches together, all of one length.
struct StepTokens {
  double sequences = 0, length = 0;
  double told = 0;  ///< tokens whose logits over a vocabulary are formed; 0 with a head
};

/// Floating point operations of the products of a step with the network's weights and of its
/// attention: the forward pass, and backwards to the lowest sites of `stack` (to the input where
/// `settings` train norms); full also forms the gradients of its weights. In the last layer only
/// what its output is read of is computed. Of zeroth-order optimizers all passes, which share the
/// layers below the stack. Products with adapter and head are left out, so that it is a little less
/// than what `bench step` counts.
double step_work(const ModelShape& shape, const SiteCatalogue& places, const Method& method,
                 const Stack& stack, const RunSettings& settings, const StepTokens& tokens);

}  // namespace rankfold
