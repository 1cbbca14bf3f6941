#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "core/base/error.h"
#include "core/contract/check_method.h"
#include "core/device/test_device.h"
#include "decompositions/registry.h"
#include "source_paths.h"

namespace rankfold {
namespace {

std::vector<std::string> names() {
  return builtin_registry().names();
}

/// All cases, or the one that is first accepted where RANKFOLD_CONTRACT says so.
ContractScope contract_scope() {
  const char* scope = std::getenv("RANKFOLD_CONTRACT");
  return scope != nullptr && std::string_view(scope) == "one-case" ? ContractScope::one_case
                                                                   : ContractScope::all;
}

class EveryMethod : public testing::TestWithParam<std::string> {};

TEST_P(EveryMethod, KeepsTheContract) {
  const CheckReport report = check_contract(builtin_registry().at(GetParam()), contract_scope());
  EXPECT_GT(report.accepted, 0u);
  EXPECT_THAT(report.failures, testing::IsEmpty());
}

TEST_P(EveryMethod, KeepsTheContractOnTwoThreads) {
  const int threads = kernel_report().threads;
  set_threads(2);
  const CheckReport report =
      check_contract(builtin_registry().at(GetParam()), ContractScope::one_case);
  set_threads(threads);
  EXPECT_THAT(report.failures, testing::IsEmpty());
}

/// Whatever the host did to a device's memory would fault.
TEST_P(EveryMethod, KeepsTheContractOnADeviceWithMemoryOfItsOwn) {
  const CheckReport report =
      check_contract(builtin_registry().at(GetParam()), ContractScope::all, make_test_device());
  EXPECT_GT(report.accepted, 0u);
  EXPECT_THAT(report.failures, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryMethod, testing::ValuesIn(names()),
                         [](const auto& method) { return method.param; });

std::vector<std::filesystem::path> golden_cases() {
  std::vector<std::filesystem::path> cases;
  for (const auto& entry :
       std::filesystem::directory_iterator(RANKFOLD_GOLDEN_DIR "/decompositions"))
    if (entry.is_directory()) cases.push_back(entry.path());
  std::ranges::sort(cases);
  return cases;
}

class GoldenCase : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(GoldenCase, AgreesWithTheReferenceToRounding) {
  const CheckReport report =
      check_golden(builtin_registry().at(golden_method(GetParam())), GetParam());
  EXPECT_GT(report.errors.size(), 3u);
  EXPECT_LE(report.worst(), 1e-12);
  EXPECT_THAT(report.failures, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Decompositions, GoldenCase, testing::ValuesIn(golden_cases()),
                         [](const auto& folder) { return folder.param.filename().string(); });

/// Every wrapper over every method, where the method is a plain weight update.
std::vector<std::string> compositions() {
  std::vector<std::string> all;
  const Registry registry = builtin_registry();
  for (const Wrapper& wrapper : registry.wrappers())
    for (const Method& method : registry.methods())
      if (std::ranges::find(registry.wrappers(), method.name, &Wrapper::name) ==
          registry.wrappers().end())
        all.push_back(wrapper.name + "(" + method.name + ")");
  return all;
}

class EveryComposition : public testing::TestWithParam<std::string> {};

TEST_P(EveryComposition, KeepsTheContractOrIsRefusedByName) {
  const Registry registry = builtin_registry();
  const CheckReport report = check_contract(registry.at(GetParam()), ContractScope::one_case);
  if (report.accepted > 0) {
    EXPECT_THAT(report.failures, testing::IsEmpty());
  } else {
    ASSERT_EQ(report.failures.size(), 1U);
    EXPECT_THAT(report.failures.front(), testing::HasSubstr("[" + GetParam() + "] changes weight"));
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryComposition, testing::ValuesIn(compositions()),
                         [](const auto& method) {
                           std::string name = method.param;
                           std::erase(name, ')');
                           std::ranges::replace(name, '(', '_');
                           return name;
                         });

TEST(Registry, HoldsExactlyTheBuiltinMethods) {
  EXPECT_THAT(names(), testing::ElementsAre(
                           "bitfit", "block_term", "bora", "bottleneck", "cara", "dlrt", "dora",
                           "fact_tk", "fact_tt", "fourierft", "full", "hira", "ia3", "loha", "lokr",
                           "lora", "lora_xs", "loretta_adp", "loretta_rep", "lorta", "lotr", "map",
                           "metatt", "nola", "none", "prefix", "prompt", "quanta", "randlora",
                           "tenslora", "tensor_ring", "tt_lora", "tucker3", "vera"));
}

TEST(Registry, ComposesMethodsAndRefusesWhatIsNone) {
  const Registry registry = builtin_registry();
  EXPECT_EQ(registry.at("dora(lotr)").name, "dora(lotr)");
  for (const char* name : {"dora(lotrr)", "dorra(lotr)", "dora(dora)x", "dora(", "lora(lotr)"})
    EXPECT_THROW(registry.at(name), UsageError) << name;
}

TEST(Registry, RefusesWrappersNestedTooDeepAndNamesOfAnyLengthInOneLine) {
  const Registry registry = builtin_registry();
  const auto refusal = [&](const std::string& name) -> std::string {
    try {
      registry.at(name);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "dora(";
  deep += "lora";
  EXPECT_THAT(refusal(deep + std::string(200'000, ')')),
              testing::HasSubstr("200000 wrappers over each other, expected at most 8"));
  EXPECT_THAT(refusal(deep + ")"), testing::HasSubstr("expected at most 8"));
  for (const std::string& name : {deep, std::string(1 << 20, 'a'), std::string(1 << 20, '(') + ')',
                                  "dora(" + std::string(1 << 20, 'a') + ")"})
    EXPECT_LT(refusal(name).size(), 1500U);
  EXPECT_NE(refusal("dora(dora(lotr))"), "accepted");
}

TEST(Settings, OfAnyLengthAreRefusedInOneLine) {
  const Registry registry = builtin_registry();
  const Stack stack({{"s", MatrixType::q, 0, 16, 16, 2}});
  const std::string huge(1 << 20, '9');
  const auto refusal = [&](const char* method, const MethodRequest& request) -> std::string {
    try {
      const MethodSettings settings = resolve_settings(registry.at(method), request, stack);
      count_parameters(registry.at(method), stack, settings);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  std::string ones = "16";
  for (int i = 0; i < 100'000; ++i) ones += ",1";
  for (const auto& [method, request] : std::vector<std::pair<const char*, MethodRequest>>{
           {"lora", {huge, {}, "", {}}},
           {"tucker3", {huge + "x2x2", {}, "", {}}},
           {"lora", {"2", {}, huge, {}}},
           {"lora", {"2", {}, "", {{huge, "1"}}}},
           {"lora", {"2", {}, "", {{"init", huge}}}},
           {"tenslora", {"2", {}, "", {{"scale", huge}}}},
           {"loretta_rep", {"2", {}, "", {{"bottleneck", huge}}}},
           {"loretta_rep", {"2", {}, "", {{"shape-a", huge}}}},
           {"loretta_rep", {"2", {}, "", {{"shape-a", ones}}}}}) {
    EXPECT_NE(refusal(method, request), "accepted") << method;
    EXPECT_LT(refusal(method, request).size(), 1500U) << method;
  }
  for (const char* rank : {"+2", "0x2", " 2", "2 ", "2.", "2e0", "-0", ""})
    EXPECT_NE(refusal("lora", {rank, {}, "", {}}), "accepted") << rank;
}

TEST(Registry, RefusesATakenNameAndNamesTheNearestMethod) {
  Registry registry = builtin_registry();
  EXPECT_THROW(registry.add(lora()), Error);
  try {
    registry.at("lotrr");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'lotr'"));
  }
}

Declaration declare_shared_a(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  return weight_update({.out = {out},
                        .in = {in},
                        .terms = {{.product = {Factor{"B", {out, r}, zeros()},
                                               Factor{"A", {r, in}, normal(1), Owner::model}}}},
                        .select = {}});
}

TEST(Contract, RefusesASharedFactorOnlyWhereShapesDiffer) {
  Method method = lora();
  method.name = "shared_a";
  method.options.clear();
  method.presets.clear();
  method.declare = declare_shared_a;
  const CheckReport report = check_contract(method);
  EXPECT_THAT(report.failures, testing::IsEmpty());
  EXPECT_EQ(report.accepted, 4u);  // two ranks on the two stacks of one shape
}

TEST(Contract, FailsAMethodThatAcceptsNoStack) {
  Method method = lora();
  method.declare = [](const Site&, const Stack&, const MethodSettings&) -> Declaration {
    throw UsageError("[lora] not here");
  };
  EXPECT_THAT(check_contract(method).failures, testing::Not(testing::IsEmpty()));
}

TEST(Contract, FailsAnUpdateOfAWrongWidth) {
  Method method = lora();
  const auto declare = method.declare;
  method.declare = [declare](const Site& site, const Stack& stack, const MethodSettings& settings) {
    Site narrow = site;
    narrow.out -= 1;
    return declare(narrow, stack, settings);
  };
  EXPECT_THAT(check_contract(method).failures, testing::Not(testing::IsEmpty()));
}

/// Changes what lora declares, and gives why it is refused.
std::string refusal(const std::function<void(Declaration&, const Site&)>& change) {
  Method method = lora();
  const auto declare = method.declare;
  method.declare = [&](const Site& site, const Stack& stack, const MethodSettings& settings) {
    Declaration declaration = declare(site, stack, settings);
    change(declaration, site);
    return declaration;
  };
  const CheckReport report = check_contract(method, ContractScope::one_case);
  return report.accepted > 0 ? "accepted" : testing::PrintToString(report.failures);
}

TEST(Contract, RefusesModesThatStandTwice) {
  const auto network = [](Declaration& declaration) -> Network& {
    return declaration.stages.front().network;
  };
  EXPECT_THAT(refusal([&](Declaration& declaration, const Site& site) {
                network(declaration).terms.front().product = {
                    Factor{"D", {{"out", site.out}, {"in", site.in}, {"x", 2}, {"x", 2}}}};
              }),
              testing::HasSubstr("mode 'x' stands 2 times in factor 'D'"));
  EXPECT_THAT(refusal([&](Declaration& declaration, const Site& site) {
                network(declaration) = {
                    .out = {{"side", site.out}},
                    .in = {{"side", site.out}},
                    .terms = {{.product = {Factor{"D", {{"side", site.out}}}}}}};
              }),
              testing::HasSubstr("mode 'side' stands in out and in"));
  EXPECT_THAT(refusal([&](Declaration& declaration, const Site&) {
                network(declaration).out = {{"x", 2}, {"x", 2}};
              }),
              testing::HasSubstr("mode 'x' stands twice"));
}

TEST(Contract, RefusesMagnitudesThatDoNotFitTheWeight) {
  const auto with = [](std::vector<Factor> magnitudes) {
    return refusal([&](Declaration& declaration, const Site&) {
      declaration.normalisation = {.magnitudes = magnitudes};
    });
  };
  EXPECT_THAT(with({}), testing::HasSubstr("magnitudes of [] numbers, expected ["));
  EXPECT_THAT(with({Factor{"m", {{"x", 7}}}}), testing::HasSubstr("magnitudes of [7] numbers"));
  EXPECT_THAT(with({Factor{"m", {{"x", 7}}, constant(1), Owner::site, false}}),
              testing::HasSubstr("magnitude 'm' is frozen"));
}

TEST(Contract, FailsAMethodWithoutAReference) {
  Method method = lora();
  method.reference = "";
  EXPECT_THAT(check_contract(method).failures, testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace rankfold
