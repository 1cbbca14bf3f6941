#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// How far a training here is from another program's.
struct TrainingTraceReport {
  std::vector<double> losses;          ///< before each step
  std::vector<double> expected;        ///< the other program's
  std::vector<double> norms;           ///< of all gradients of a step together, before clipping
  std::vector<double> expected_norms;  ///< the other program's; none where it tells none
  double rate = 1e-2;                  ///< of learning
  /// The largest |found - expected| / |expected| of a loss or norm.
  double worst = 0;
  std::vector<std::string> notes;  ///< what loading said
};

/// Trains the model of a folder as huggingface/peft did, which left in it io.safetensors (the batch
/// of every step, see read_reference_batch), trace.safetensors (what trains, at the start: LoRA
/// factors <module>.lora_A.weight [r, in] and <module>.lora_B.weight [out, r], or IA3's
/// <module>.ia3_l [out, 1] or [1, in], and the host's own tensors; without that file all weights
/// train, from the checkpoint's) and trace.json (losses: one number a step; if they are there,
/// gradient_norms as well, and learning_rate). Alpha 8, no dropout, AdamW with rate 1e-2 or as told,
/// betas 0.9 and 0.999, epsilon 1e-8 and decay 0.01 on all that trains, gradients clipped to a norm
/// of 1, 3 steps of linear warm-up, then linear decay to 0 behind the last. Throws Error naming file and tensor or key: one that is missing, is not as
/// described, or has no counterpart here. `precision`, f32 or bf16, is that of products with frozen
/// weights.
TrainingTraceReport check_training(const std::filesystem::path& folder,
                                   std::shared_ptr<const Device> device,
                                   const std::string& precision = "f32");

}  // namespace rankfold
