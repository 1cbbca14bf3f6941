#include "core/device/machine_rates.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

/// An environment variable for the length of a test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::setenv(name_, before_.c_str(), 1); }

 private:
  const char* name_;
  std::string before_;
};

TEST(MachineRates, AreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  const auto file = folder.path / "rates.json";
  write_rates({3e11, 1.5e11, 2e9}, file);
  const MachineRates rates = read_rates(file);
  EXPECT_EQ(rates.large_flops, 3e11);
  EXPECT_EQ(rates.thin_flops, 1.5e11);
  EXPECT_EQ(rates.moved, 2e9);
}

TEST(MachineRates, OfAFileThatLacksOneAreRefusedByItsName) {
  const TemporaryFolder folder;
  const auto file = folder.path / "rates.json";
  for (const char* text : {"", "[]", R"({"large_flops": 1, "thin_flops": 1})",
                           R"({"large_flops": 1, "thin_flops": -1, "moved": 1})",
                           R"({"large_flops": 1, "thin_flops": "fast", "moved": 1})"}) {
    write_atomically(file, text);
    EXPECT_THROW(read_rates(file), Error) << text;
  }
  const auto refusal = [&](const std::string& rate) {
    write_atomically(file, R"({"large_flops": 1, "thin_flops": )" + rate + R"(, "moved": 1})");
    try {
      read_rates(file);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  for (const char* rate : {"0", "-0.0", "-1", "null", "true", "\"1\"", "[1]", "1e-999"})
    EXPECT_THAT(refusal(rate), testing::HasSubstr("key 'thin_flops'")) << rate;
  EXPECT_THAT(refusal("1e999"), testing::HasSubstr("range of double"));
  EXPECT_THAT(refusal("NaN"), testing::HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string(200'000, '[')), testing::HasSubstr("nested deeper"));
  EXPECT_THROW(read_rates(folder.path / "none.json"), Error);
}

TEST(MachineRates, ThatTheUserNamesAreTaken) {
  const TemporaryFolder folder;
  write_rates({4e11, 1e11, 1e9}, folder.path / "mine.json");
  const auto device = make_cpu_device();
  {
    const Variable given("RANKFOLD_RATES", (folder.path / "mine.json").string());
    EXPECT_EQ(machine_rates(*device).large_flops, 4e11);
  }
  const Variable given("RANKFOLD_RATES", "nominal");
  EXPECT_EQ(machine_rates(*device).moved, nominal_rates().moved);
}

TEST(MachineRates, AreMeasuredOnceAndKept) {
  const TemporaryFolder folder;
  const Variable none("RANKFOLD_RATES", ""), cache("XDG_CACHE_HOME", folder.path.string());
  const auto device = make_cpu_device();
  const MachineRates first = machine_rates(*device);
  EXPECT_GT(first.large_flops, 0);
  EXPECT_TRUE(std::filesystem::exists(rates_file()));
  const double ratio = std::log2(first.thin_flops / first.large_flops);
  EXPECT_NEAR(ratio, std::round(ratio), 1e-9);
  // What is kept is believed: a second measurement would differ in its last digits.
  EXPECT_EQ(machine_rates(*device).large_flops, first.large_flops);
  write_atomically(rates_file(), "half a fil");
  EXPECT_GT(machine_rates(*device).large_flops, 0);
  EXPECT_NO_THROW(read_rates(rates_file()));
}

}  // namespace
}  // namespace rankfold
