#include "core/error.h"
#include "experiments/models/bert.h"
#include "experiments/models/config_file.h"
#include "experiments/models/host.h"

namespace rankfold {

std::unique_ptr<Host> load_host(const std::filesystem::path& folder, const HostSettings& settings,
                                std::shared_ptr<const Backend> backend) {
  const ConfigFile config(folder / "config.json");
  const std::string type = config.text("model_type");
  if (type == "bert") return load_bert(folder, config, settings, std::move(backend));
  throw Error("{}: model_type is '{}', expected bert", config.path().string(), type);
}

}  // namespace rankfold
