#include "decompositions/registry.h"

namespace rankfold {

Registry builtin_registry() {
  return Registry(
      {
          bitfit(),  block_term(), bottleneck(), cara(),        dlrt(),        fact_tk(),
          fact_tt(), fourierft(),  full(),       hira(),        ia3(),         loha(),
          lokr(),    lora(),       lora_xs(),    loretta_adp(), loretta_rep(), lorta(),
          lotr(),    metatt(),     nola(),       none(),        prefix(),      prompt(),
          quanta(),  randlora(),   tenslora(),   tensor_ring(), tt_lora(),     tucker3(),
          vera(),
      },
      {bora(), dora(), map_directions()});
}

}  // namespace rankfold
