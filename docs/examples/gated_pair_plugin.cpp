#include "docs/examples/gated_pair.cpp"

extern "C" void rankfold_register(rankfold::Registry& registry) {
  registry.add(rankfold::gated_pair());
}
