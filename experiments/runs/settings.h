#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <string>

#include "core/adapter/registry.h"
#include "core/network/stack.h"
#include "experiments/runs/setting_spec.h"
#include "experiments/runs/setting_value.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// Settings as text by name; the method's own keys (`--set`) apart. Missing names mean the default.
struct RunSettings {
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> options;  ///< of the method

  const std::string& text(const std::string& name) const;  ///< value or default
  double number(const std::string& name) const;            ///< UsageError naming --name
  std::size_t count(const std::string& name) const;
  bool asks_in_words() const;  ///< scoring is by prompt
  bool operator==(const RunSettings&) const = default;
};

/// Throws UsageError for an unknown name (with the nearest one), a value of the wrong form or out
/// of range, or a required setting that is missing. The method's options are checked by
/// resolve_settings.
void check_settings(const RunSettings& settings);

/// The same for one setting alone.
void check_setting(const std::string& name, const std::string& value);

/// Sorted, complete, one form per value ("5e-04" becomes "5e-4"): what run.json keeps. With its
/// `method`, what the method decides is filled in too: targets (see fill_targets), alpha and
/// options, those of the preset before its defaults. Settings without a value ("" by default) are
/// left out. Calls check_settings.
RunSettings canonical(const RunSettings& settings, const Method* method = nullptr,
                      KnownFolders* known = nullptr);

/// What tells runs apart: canonical, with the links in folders followed and without what is
/// incidental. A setting that is missing (the run.json of an older version) has its default.
/// Settings that this program would refuse (of a newer version, of a plug-in's method) come back as
/// they are, and equal nothing else.
RunSettings identity(const RunSettings& settings, const Registry& registry,
                     KnownFolders* known = nullptr);
/// The same of settings that canonical has made.
RunSettings identity_of_canonical(RunSettings settings, KnownFolders* known = nullptr);

/// What make_adapter's settings come from: rank, alpha, preset and options of a run.
MethodRequest method_request(const RunSettings& settings);

/// The settings with one of these roles, of those that the run has.
RunSettings settings_with(const RunSettings& settings, std::initializer_list<SettingRole> roles);

/// The settings of a run that tell what it reads: those of the role content, and the seed of rows
/// that are drawn.
RunSettings content_settings(const RunSettings& run);

/// One text for settings, to look runs up by.
std::string settings_text(const RunSettings& settings);

/// --targets, or the method's default (of `all`, parts of fused weights where only some of them
/// have a bias), or the model's: "q,v", in_proj where these are its parts.
std::string chosen_targets(const RunSettings& settings, const Method& method,
                           const SiteCatalogue& catalogue);
/// Throws UsageError for what --targets everything does not go with: parts of --train that it
/// holds, some of the layers, dropout of an adapter, bfloat16.
void check_everything(const RunSettings& settings);
/// Where the task is a table of one's own, or the data are: the file becomes the data, the task is
/// called after it (see table_task_name), and text, label and metric have their defaults, which
/// they have nowhere else; with a prompt, which names the columns, scoring is by prompt and text
/// and metric have none. Throws UsageError where the task can only be a file of another kind.
void fill_table(RunSettings& settings);
/// What a run says of its task, canonical or filled.
TaskChoice task_choice(const RunSettings& settings);
/// What has to be known to read the table again: text, label, metric and prompt by name, and as dev
/// the name of the file that the scored rows came from where it is another; empty for others.
std::map<std::string, std::string> table_settings(const RunSettings& settings);

/// Names the targets of a run that leaves them to a model whose default is not q,v, so that
/// `canonical`, which knows no model, keeps them.
void fill_targets(RunSettings& settings, const Method& method, const SiteCatalogue& catalogue);

/// Positions that the method's virtual tokens take in a model; 0 for most methods. Throws
/// UsageError as resolve_settings.
std::size_t virtual_tokens(const RunSettings& settings, const Method& method);
/// Of a model's positions those that they leave to a sequence, at least 1.
std::size_t positions_left(const RunSettings& settings, const Method& method,
                           std::size_t positions);

/// What the settings leave to a model with so many positions, which can tell next tokens or not:
/// scoring by prompt where it can and the task has a prompt; and by prompt a max-length of 2048
/// tokens (LoRETTA, MeZO), or of all positions where there are fewer.
void fill_scoring(RunSettings& settings, bool tells_tokens, std::size_t positions);

}  // namespace rankfold
