#pragma once

#include "core/adapter/registry.h"

namespace rankfold {

/// The built-in methods, and those that go over them.
Registry builtin_registry();

// One function a file of this folder; registry.cpp is the table.
Method bitfit();
Method block_term();
Method bottleneck();
Method cara();
Method dlrt();
Method fact_tk();
Method fact_tt();
Method fourierft();
Method full();
Method hira();
Method ia3();
Method loha();
Method lokr();
Method lora();
Method lora_xs();
Method loretta_adp();
Method loretta_rep();
Method lorta();
Method lotr();
Method metatt();
Method nola();
Method none();
Method prefix();
Method prompt();
Method quanta();
Method randlora();
Method tenslora();
Method tensor_ring();
Method tt_lora();
Method tucker3();
Method vera();
Wrapper bora();
Wrapper dora();
Wrapper map_directions();

}  // namespace rankfold
