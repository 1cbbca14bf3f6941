#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/figures/gnuplot.h"
#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/json_text.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "core/device/bfloat16_weight.h"
#include "core/device/device.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"
#include "experiments/runs/parquet.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

bool is_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path == nullptr ? "" : path, ':'))
    if (::access((fs::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

/// The kernels that OpenBLAS would choose by itself: it chooses when it is loaded, so another
/// process of this program is asked. "" where that cannot be.
std::string native_kernel() {
  std::error_code failure;
  const std::string program = fs::read_symlink("/proc/self/exe", failure).string();
  // In a test's process the executable is another program.
  if (failure || fs::path(program).filename() != "rankfold") return "";
  std::string quoted = "'";
  for (const char letter : program) quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  const std::string command =
      "env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE " + quoted + "' doctor --json 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (!pipe) return "";
  std::string text;
  std::array<char, 4096> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), count);
  try {
    const JsonDocument document("doctor --json", text);
    const auto blas = document.root().find("blas");
    const auto kernel = blas ? blas->find("kernel") : std::nullopt;
    return kernel ? kernel->any_text() : "";
  } catch (const Error&) {
    return "";
  }
}

int run_doctor(const Arguments&, Context& context) {
  const KernelReport kernels = kernel_report();
  const std::string native = kernels.forced_kernel.empty() ? kernels.openblas : native_kernel();
  const std::string obstacle = bfloat16_obstacle();
  std::error_code failure;
  const bool has_gpu = fs::exists("/proc/driver/nvidia/version", failure);
  const bool has_gnuplot = gnuplot_is_installed();
  const bool has_slurm = is_in_path("sbatch");
  const std::string parquet = parquet_obstacle();
  const std::string arrow_version = parquet.empty() ? parquet_library().arrow : "";
  const std::string arrow_library = parquet.empty() ? parquet_library().where() : "";
  std::vector<std::string> install;
  if (!has_gnuplot) install.push_back("gnuplot-nox");
  if (context.json) {
    const json document = {{"rankfold", version()},
                           {"compiler", compiler()},
                           {"cpu", cpu_model()},
                           {"processors", cpu_count()},
                           {"memory_mib", memory_mib()},
                           {"blas",
                            {{"kernel", kernels.openblas},
                             {"forced_kernel", kernels.forced_kernel},
                             {"native_kernel", native},
                             {"forced_slower", kernels.forced_slower},
                             {"threads", kernels.threads},
                             {"configuration", kernels.configuration}}},
                           {"own_kernels", kernels.own},
                           {"bfloat16", {{"available", obstacle.empty()}, {"obstacle", obstacle}}},
                           {"gpu", {{"driver", has_gpu}, {"used", false}}},
                           {"gnuplot", has_gnuplot},
                           {"slurm", {{"sbatch", has_slurm}, {"used", false}}},
                           {"arrow",
                            {{"used", parquet.empty()},
                             {"version", arrow_version},
                             {"library", arrow_library},
                             {"obstacle", parquet}}},
                           {"install", install}};
    context.out << json_text(document);
    return 0;
  }
  const std::string kernel =
      kernels.forced_kernel.empty()
          ? kernels.openblas + " (OpenBLAS's own choice)"
          : fmt::format("{} (forced by OPENBLAS_CORETYPE={}; its own choice: {})", kernels.openblas,
                        printable(kernels.forced_kernel, 40), native.empty() ? "unknown" : native);
  write_table(
      context.out,
      {{"rankfold", fmt::format("{}, {}", version(), compiler())},
       {"CPU", fmt::format("{}, {}, {} MiB", cpu_model(),
                           counted(cpu_count(), "processor", "processors"), memory_mib())},
       {"kernels", kernels.own == "none" ? "OpenBLAS only: this CPU has no AVX2"
                                         : kernels.own + " for float32, our own; else OpenBLAS"},
       {"BLAS", kernels.configuration},
       {"its kernels", kernel},
       {"threads", std::to_string(kernels.threads)},
       {"bfloat16", obstacle.empty() ? "products can run (--precision bf16)"
                                     : "products cannot run: " + obstacle},
       {"GPU", has_gpu ? "NVIDIA driver found; this version computes on the CPU"
                       : "no NVIDIA driver; this version computes on the CPU"},
       {"gnuplot", has_gnuplot ? "found" : "missing: needed by `rankfold figure`"},
       {"Slurm", has_slurm ? "sbatch found; this version runs sweeps on this machine only"
                           : "no sbatch; sweeps run on this machine"},
       {"Arrow", parquet.empty() ? fmt::format("{}, {}", arrow_version, printable(arrow_library))
                                 : "missing, needed by `rankfold collect`: " + parquet}});
  if (kernels.forced_slower)
    context.out << "\nThe forced kernels halve the speed in double precision: unset "
                   "OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE.\n";
  if (!install.empty())
    context.out << "\nTo install: apt-get install " << join(install, " ") << '\n';
  if (!parquet.empty())
    context.out << "\nFor Parquet: scripts/install-dependencies, then build again.\n";
  if (install.empty() && parquet.empty()) context.out << "\nNothing is missing.\n";
  return 0;
}

}  // namespace

Command doctor_command() {
  return {"doctor", "what this machine has and what is missing", {}, {}, "", run_doctor, {}};
}

}  // namespace rankfold
