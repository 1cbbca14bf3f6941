#include <chrono>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/models/generate.h"
#include "experiments/models/host.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {
