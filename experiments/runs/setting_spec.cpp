#include "experiments/runs/setting_spec.h"

#include <algorithm>

#include "core/adapter/method.h"
#include "core/base/text.h"
#include "core/network/model_parts.h"
#include "experiments/runs/setting_limits.h"
#include "experiments/runs/trainer_settings.h"
#include "experiments/tasks/metrics.h"
#include "experiments/tasks/task.h"

namespace rankfold {
namespace {

bool has_rank(const Method& method) {
  return method.has_rank;
}

bool has_alpha(const Method& method) {
  return method.alpha != 0;
}

bool has_sites(const Method& method) {
  return method.adapts_sites;
}

std::vector<std::string> sorted_parts() {
  std::vector<std::string> parts;
  for (const ModelPart& part : model_parts) parts.emplace_back(part.name);
  std::ranges::sort(parts);
  return parts;
}

std::vector<SettingSpec> make_table() {
  using enum SettingKind;
  using enum SettingRole;
  using namespace setting_limits;
  const std::vector<SettingUse> of_moments = {{"optimizer", {"adamw", "adam", "zo-adam"}}};
  return {
      {.name = "model",
       .value = "DIR",
       .meaning = "model folder: config.json, model.safetensors, vocabulary",
       .kind = SettingKind::folder,
       .required = true,
       .place = SettingPlace::folder,
       .roles = {content, data_cost, check, counting}},
      {.name = "data",
       .value = "DIR",
       .meaning = "folder with train.tsv and dev.tsv, or with the tasks' folders; a table of your "
                  "own is its own",
       .kind = SettingKind::folder,
       .required = true,
       .found_elsewhere = true,
       .roles = {content, data_cost, check}},
      {.name = "task",
       .value = "NAME",
       .meaning = task_names(),
       .required = true,
       .place = SettingPlace::folder,
       .roles = {content, data_cost, check}},
      {.name = "text",
       .value = "COLUMN",
       .meaning = "of a table: column of the text, or of two, COLUMN,COLUMN; default: text",
       .kind = list,
       .ordered = true,
       .roles = {content, data_cost, check},
       .of_tables = true},
      {.name = "label",
       .value = "COLUMN",
       .meaning = "of a table: column of the class or number; default: label",
       .roles = {content, check},
       .of_tables = true},
      {.name = "dev",
       .value = "FILE",
       .meaning =
           "of a table: another one with the rows to score; default: two tenths of the rows, "
           "by a hash of the text",
       .kind = SettingKind::folder,
       .roles = {content, data_cost, check},
       .of_tables = true},
      {.name = "metric",
       .value = "NAME",
       .meaning = "of a table: accuracy, f1, matthews_correlation, or pearson or spearman, which "
                  "make it a regression; default: accuracy",
       .kind = choice,
       .choices = metric_names(),
       .roles = {content, check},
       .of_tables = true},
      {.name = "scoring",
       .value = "HOW",
       .fallback = "head",
       .meaning = "by a trained head, or prompt: a model that tells next tokens is asked in words; "
                  "default for such models where the task has a prompt",
       .kind = choice,
       .choices = {"head", "prompt"},
       .roles = {content, data_cost, check, counting}},
      {.name = "prompt",
       .value = "TEXT",
       .meaning = "of a table: asks its rows by 'Review: {text} It was {label}', with columns in "
                  "braces and the answer last",
       .kind = phrase,
       .roles = {content, data_cost, check},
       .of_tables = true},
      {.name = "method",
       .value = "NAME",
       .meaning = "decomposition; `rankfold methods` lists them",
       .required = true,
       .place = SettingPlace::folder,
       .roles = {method_cost, check, counting, fitting}},
      {.name = "rank",
       .value = "R",
       .meaning = "rank of the decomposition",
       .kind = rank,
       .place = SettingPlace::first,
       .roles = {method_cost, check, counting, fitting},
       .matters_to = has_rank},
      {.name = "alpha",
       .value = "X",
       .meaning = "scale of the update times the rank; default: the method's",
       .kind = number,
       .roles = {check, counting, fitting},
       .matters_to = has_alpha},
      {.name = "preset",
       .value = "NAME",
       .meaning = "a published set-up of the method",
       .roles = {check, counting, fitting},
       .matters_to = has_sites},
      {.name = "targets",
       .value = "LIST",
       .meaning = "adapted matrices: names such as q,v (rankfold models NAME lists them), all, "
                  "all-linear or adapters, or patterns of module names ('*.mlp.*'); default the "
                  "method's, or q,v (in_proj where these are its parts)",
       .kind = list,
       .roles = {method_cost, check, counting},
       .other_name = "targets-like",
       .matters_to = has_sites},
      {.name = "layers",
       .value = "LIST",
       .fallback = "all",
       .meaning = "all, first:N, last:N or a 0-based list such as 0,2,5-7",
       .kind = list,
       .roles = {method_cost, check, counting},
       .matters_to = has_sites},
      {.name = "train",
       .value = "LIST",
       .meaning = "trained besides adapter and head: norms, norm-shifts, tt-head",
       .kind = list,
       .choices = sorted_parts(),
       .roles = {method_cost, check, counting}},
      {.name = "lr",
       .value = "X",
       .meaning = "peak learning rate",
       .kind = number,
       .required = true,
       .limit = positive,
       .place = SettingPlace::first},
      {.name = "epochs",
       .value = "N",
       .fallback = "3",
       .meaning = "passes over the training set",
       .kind = count,
       .limit = one_or_more},
      {.name = "batch",
       .value = "N",
       .fallback = "32",
       .meaning = "sequences a step",
       .kind = count,
       .limit = one_or_more,
       .roles = {data_cost}},
      {.name = "max-length",
       .value = "N",
       .fallback = "128",
       .meaning = "tokens a sequence is cut to; by prompt its default is 2048, or the model's "
                  "positions where it has fewer, and the beginning is cut",
       .kind = count,
       .limit = one_or_more,
       .roles = {data_cost, check}},
      {.name = "max-train",
       .value = "N",
       .fallback = "0",
       .meaning = "first N rows of the training set; 0: all",
       .kind = count,
       .limit = any_count,
       .roles = {content, data_cost}},
      {.name = "optimizer",
       .value = "NAME",
       .fallback = "adamw",
       .meaning = "adamw, adam or sgd; zo-sgd or zo-adam, from values of the loss alone",
       .kind = choice,
       .choices = {"adamw", "adam", "sgd", "zo-sgd", "zo-adam"},
       .roles = {data_cost}},
      {.name = "weight-decay",
       .value = "X",
       .fallback = "0",
       .meaning = "of every trained tensor but those of --no-decay",
       .kind = number,
       .limit = not_negative},
      {.name = "beta1",
       .value = "X",
       .fallback = "0.9",
       .meaning = "AdamW, Adam: decay of the mean gradient",
       .kind = number,
       .limit = below_one,
       .used_with = of_moments},
      {.name = "beta2",
       .value = "X",
       .fallback = "0.999",
       .meaning = "AdamW, Adam: decay of the mean squared gradient",
       .kind = number,
       .limit = below_one,
       .used_with = of_moments},
      {.name = "epsilon",
       .value = "X",
       .fallback = "1e-8",
       .meaning = "AdamW, Adam: added to the denominator",
       .kind = number,
       .limit = positive,
       .used_with = of_moments},
      {.name = "schedule",
       .value = "NAME",
       .fallback = "linear",
       .meaning = "constant, linear, polynomial or cosine",
       .kind = choice,
       .choices = {"constant", "linear", "polynomial", "cosine"}},
      {.name = "warmup",
       .value = "X",
       .fallback = "0.06",
       .meaning = "share of the steps, or 1 or more steps, in which the rate rises from 0",
       .kind = number,
       .limit = share_or_steps},
      {.name = "clip",
       .value = "X",
       .fallback = "0",
       .meaning = "largest norm of all gradients together; 0: no clipping",
       .kind = number,
       .limit = not_negative},
      {.name = "dropout",
       .value = "X",
       .meaning = "of the network; default: as config.json says",
       .kind = number,
       .limit = below_one,
       .roles = {method_cost, check}},
      {.name = "precision",
       .value = "TYPE",
       .fallback = "f32",
       .meaning = "of products with frozen weights: f32, or bf16, which needs AVX512_BF16 or AMX",
       .kind = choice,
       .choices = {"f32", "bf16"},
       .roles = {data_cost, check}},
      {.name = "score-on",
       .value = "SPLIT",
       .fallback = "dev",
       .meaning = "examples that are scored: dev, or held-out for choosing learning rates",
       .kind = choice,
       .choices = {"dev", "held-out"},
       .roles = {content}},
      {.name = "seed",
       .value = "N",
       .fallback = "42",
       .meaning = "of head, factors, data order and dropout",
       .kind = count,
       .place = SettingPlace::last,
       .roles = {fitting}},
      {.name = "threads",
       .value = "N",
       .meaning = "default: all processors; 1 in sweeps of training",
       .kind = count,
       .limit = thread_count,
       .roles = {data_cost},
       .in_sweeps = "1"},
      {.name = "cache-features",
       .value = "true|false",
       .fallback = "false",
       .meaning = "compute what leaves the layers below all adapted ones once, keep it on disk and "
                  "reuse it; needs --dropout 0",
       .kind = choice,
       .choices = {"false", "true"},
       .alone = "true",
       .roles = {method_cost, check}},
      {.name = "cache-dir",
       .value = "DIR",
       .meaning = "where it is kept; default: .features in --out, shared by the runs of a sweep",
       .kind = SettingKind::folder,
       .incidental = true},
      {.name = "cache-limit",
       .value = "MIB",
       .fallback = "4096",
       .meaning = "at most that much of it for a run; what does not fit is computed in every step",
       .kind = count,
       .incidental = true},
  };
}

}  // namespace

bool SettingSpec::has_role(std::initializer_list<SettingRole> some) const {
  return std::ranges::any_of(
      some, [&](SettingRole role) { return std::ranges::find(roles, role) != roles.end(); });
}

const std::vector<SettingSpec>& run_settings() {
  static const std::vector<SettingSpec> table = [] {
    std::vector<SettingSpec> specs = make_table();
    const std::vector<SettingSpec> of_trainers = trainer_settings();
    const auto clip = std::ranges::find(specs, "clip", &SettingSpec::name);
    specs.insert(clip + 1, of_trainers.begin(), of_trainers.end());
    return specs;
  }();
  return table;
}

const std::vector<const SettingSpec*>& sorted_settings() {
  static const std::vector<const SettingSpec*> sorted = [] {
    std::vector<const SettingSpec*> specs;
    for (const SettingSpec& spec : run_settings()) specs.push_back(&spec);
    std::ranges::sort(specs, {}, &SettingSpec::name);
    return specs;
  }();
  return sorted;
}

const SettingSpec* find_setting(std::string_view name) {
  const auto found = std::ranges::lower_bound(sorted_settings(), name, {}, &SettingSpec::name);
  return found == sorted_settings().end() || (*found)->name != name ? nullptr : *found;
}

const SettingSpec* find_setting_called(std::string_view name) {
  const auto found = std::ranges::find_if(run_settings(), [&](const SettingSpec& spec) {
    return spec.name == name || (!name.empty() && spec.other_name == name);
  });
  return found == run_settings().end() ? nullptr : &*found;
}

bool is_incidental(std::string_view name) {
  const SettingSpec* spec = find_setting(name);
  return spec != nullptr && spec->incidental;
}

std::string task_names() {
  std::vector<std::string> names;
  for (const Task& task : tasks()) names.push_back(task.name);
  return join(names, ", ") + ", or a table of your own: FILE.tsv, .csv or .jsonl";
}

}  // namespace rankfold
