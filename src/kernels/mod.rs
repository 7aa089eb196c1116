//! The CPU's inner loops: matrix products over packed weights, norms, attention, activations; slices in, slices out.
//!
//! Every result is one chain of fused additions in a fixed order, or a matrix unit's sums in an order as fixed, so a row's numbers depend neither
//! on the rows beside it nor on how many threads share the work. Rows are row-major; a weight is laid out in [`Panels`].
//!
//! # What was tried for sampling
//!
//! SmolLM2-135M in f32 if not said otherwise, 2 cores of a Zen 4, other work stopped while it ran.
//!
//! | change | expected | found |
//! |---|---|---|
//! | panels of 16 outputs, 8 rows × 3 panels in registers, loops left to the compiler (a probe of the layers alone) | the probe of issue 4: 42 / 263 / 472 / 567 / 632 tokens/s at 1 / 8 / 16 / 32 / 64 rows | 56 / 365 / 607 / 668 / 724: 195 GFLOP/s, 30 GB/s |
//! | the same loops inside the program | the same | 1,024 prompt tokens in 44 s instead of 1.1: the compiler gathered and scattered across rows; so the loop names its instructions |
//! | a team by rayon's broadcast | some microseconds | 4 ms a token: its threads sleep between calls; the embedded model drew 246 tokens/s at batch 1 |
//! | a team of our own that looks before it sleeps; too little work done alone | no cost | 4,956 tokens/s |
//! | exponentials of the sampler as vectors | 5 % at 32 rows | within the noise |
//! | weights in bf16 where they are exact | twice as fast at 1 row | 73 → 117 tokens/s at 1 row, 358 → 362 at 8 |
//!
//! Later, against a limit measured anew; steps and prompts in a probe of the decoder alone (the same source, made-up weights), a quiet minute each:
//!
//! | change | expected | found |
//! |---|---|---|
//! | the arithmetic limit from fused additions in registers, where a small product had been timed | above 200 GFLOP/s | 232 instead of 176 to 200: what had been 75 % of the limit at 64 rows was 67 % |
//! | sums go from registers to their place: taking the array apart by value had copied it, and each store waited for the one before | 10 %, the share of the stores in the profile | prompts 162 → 174 GFLOP/s, attention to them 107 → 69 ms, a step of 64 rows 109 → 104 ms |
//! | the results' cache lines asked for before a tile | stores that never wait | a step of 8 rows 16.3 → 17.9 ms, of 64 rows the same; undone |
//! | a tile asks for the panels of the next ones | 8 rows at the memory's limit, 12 ms | a step of 1 / 8 rows 13.0 / 16.9 → 11.5 / 14.9 ms, in bf16 6.9 / 14.6 → 5.9 / 14.0 ms |
//! | one of three panels in each of the first three tiles, not all in the first | memory is read evenly | a step of 32 rows 57 → 51 ms, of 1 row 11.8 → 10.8 ms |
//! | the same lines in one stream, or asked for only where there is something to ask for | fewer instructions | a step of 8 rows 16.7 → 19.2 and 20.2 ms, not understood; undone |
//! | from 16 rows for each core on, every core takes its own rows through the whole network | waits and lines handed from core to core gone (30 ns each: two thirds of the norms): 7 % | prompts 180 → 199 GFLOP/s, a step of 64 rows 100 → 98 ms |
//! | the cache cleared by the system where it is used, not before | 140 ms of 9 s at 64 rows | 80 ms |
//! | the cache in large pages | attention 4 ms faster at 64 rows | 1.3 ms in each of 63 steps, but 235 ms more to make the pages; undone |
//! | the weights in large pages (glibc's tunable) | fewer page walks | 80 → 94 tokens/s at 1 row, 413 → 441 at 8; but the first token took 0.4 to 1.2 s instead of 0.5, as memory had to be moved together; not done |
//! | attention asks for the next head's keys and values | 3 ms in a step of 64 rows | 7.5 → 8.3 ms; undone |
//! | 512 prompt tokens in a pass instead of 192 | fewer small passes | prompts 193 → 202 GFLOP/s |
//! | the sampler's maximum and sums as vectors, draws chunk by chunk | 0.9 % of the processor time | it is gone from the profile |
//!
//! # What was tried for training
//!
//! SmolLM2-135M, 8 rows of 32 + 64 tokens, LoRA of rank 16 on all projections, 2 cores of a Zen 4 shared with other work; so processor
//! seconds, before and after in the same minutes. *Scoring* is policy and reference over all rows, an *update* is forward and
//! backward. The arithmetic: 0.38 and 0.41 TFLOP without the adapters. Most expectations of this table were written down after the fact.
//!
//! | change | expected | found |
//! |---|---|---|
//! | frozen weights packed, attention, RMSNorm and the gate in one pass each; the innermost loop left to the compiler | update 1.3 times faster | scoring 5.8 s → 10.0 s: 47 GFLOP/s on one core, because checks kept the sums in memory; in another crate 2.7, because a function was not inlined and lost its instruction set |
//! | the innermost loop names its instructions | 90 GFLOP/s on one core | 111 to 115 in every shape, 84 to 107 transposed; scoring 5.9 s → 4.3 s, update 6.3–8.0 s → 5.5–6.5 s |
//! | the head's products on its packed form, the transposed one 2048 terms at a time | scoring 10 % | scoring 4.3 s → 4.05 s; update within the noise |
//! | a worker takes 256 tokens at a time through the network and back | activations a half | peak 2091 MB → 1655 MB |
//! | a frozen weight exists only packed; a file's pages leave memory as they are read | 540 MB less | peak 1655 MB → 1214 MB; while loading 1057 MB → 556 MB |
//! | 128 tokens at a time | another 200 MB | peak 1214 MB → 1040 MB, but 12 % more time, since fewer rows share the transposing of a weight; undone |
//! | sums are added to what is there in registers (for the adapters' products of depth 16, which reach 40 GFLOP/s) | update 6 % | slower, 30 GFLOP/s; undone |
//! | a trained weight is packed for each product (full fine-tuning) | update 1.4 times faster | 9.9–11.1 s → 9.4 s |
//! | all of it, three runs each in alternation, medians; wall beside other work | the update 2 times faster | scoring 6.7 s → 3.9 s (processor 5.8 s → 4.1 s), update 7.8 s → 5.8 s (7.1 s → 5.8 s), peak 2101 MB → 1250 MB |
//!
//! The same in whole PPO iterations, wall, other work stopped, each against the build before it:
//!
//! | change | expected | found |
//! |---|---|---|
//! | adapters in the last 15 of 30 layers, what lies below run once for a rollout | 10.9 s | 16.4 s → 10.6 s |
//! | the number of cores is asked of the system once, not for each packing of an adapter; pads left out (there are none here) | 0.5 s | 139,000 files were opened in two iterations; 16.9 s → 15.9 s |
//! | sixteen rows and columns exchanged in registers, where the compiler had scattered | 7 % | transposing took 8.3 % of the processor time, takes 6.8 %: what is left is reading the weight; 15.9 s → 15.5–15.8 s |
//! | three panels side by side while transposing | fewer pages at a time | within the noise |
//! | one heap that keeps what is freed (thresholds of 32 and 512 MB) | 2 % | half the page faults, 15.0–16.3 s with and without; undone |
//! | all weights: the policy's backward pass before the critic's forward pass | a fifth of the memory | peak 6584 MB → 6355 MB |
//! | turns of a backward pass even, up to 320 tokens | fewer transposings in small batches | reward step of 558 tokens in one turn for each worker instead of two; not measured apart |
//!
//! Later, after the limit was measured anew (232 GFLOP/s, where 176 had been believed). Reward steps of 4 pairs with 558 tokens, PPO iterations
//! with adapters in all layers; wall, other work stopped, each against the build before it:
//!
//! | change | expected | found |
//! |---|---|---|
//! | an adapter's product follows in the sums of the dense one; a weight's gradient reads both factors as they lie, where both were copied into another order | products of depth 16 no longer at 40 GFLOP/s: 5 % | reward step 1.96 → 1.87 s |
//! | while panels are multiplied, the weights that are transposed next are asked for | transposing waited for memory: the copies in it took 9 % | 190 → 205 GFLOP/s transposed; reward step 1.87 → 1.77 s |
//! | the same asked for in a loop of its own inside the tile's | the same | 220 → 168 GFLOP/s: the compiler put the sums into memory; so one line is asked for with every term |
//! | the next panels of a product that is not transposed | a few percent | nothing with many rows |
//! | tiles of 14 rows and 2 panels; blocks of 144 or 192 terms; rows packed | fewer reads of panels | 229 → 215 to 228 GFLOP/s in a probe; not done |
//! | a transposed block is read into registers without a copy | 4 % | 205 → 210 GFLOP/s transposed |
//! | the workers share an update's answers, not its pairs (328 and 230 tokens became 281 and 277) | 15 % of the reward step | 1.77 → 1.49 s |
//! | results are made in memory that is not cleared first | 3 to 4 % | reward step 1.49 → 1.47 s, within the noise |
//! | the rollout's log-probabilities and values are the sampler's | 1 s | that phase 2.2 → 1.0 s |
//! | weights in large pages, a map of 64 MB for many of them | 7 % in sampling | batch 32 and 64 from 424 and 453 to 475 and 491 tokens/s; PPO 13.5 → 13.2 s; first token 0.34 → 0.27 s |
//! | 400 tokens in a turn instead of 320: one turn for each worker instead of two | 3 % | PPO 12.3 to 12.8 s against 12.4 to 13.2 s, but 1600 MB instead of 1230; not done |
//! | the gated activation made again for the gradients, so that 400 tokens fit | 150 MB | 1480 MB instead of 1600, no faster; not done |
//!
//! # What was tried for products in bf16
//!
//! The same machine. GFLOP/s of both cores, in a probe of these kernels with SmolLM2's shapes and 280 rows if not said otherwise (f32: 205 to
//! 228); PPO as above, once with weights in f32 and once with weights that bf16 holds.
//!
//! | change | expected | found |
//! |---|---|---|
//! | `vdpbf16ps`: weights in bf16 lie in pairs of inputs, rows are rounded for each product | twice f32: another probe had reached 450 | 385 to 445 forward, 370 to 415 transposed; PPO 13.0 → 9.5 s and 12.7 → 8.7 s |
//! | weights in f32 rounded into a buffer, three panels at a time | a little less | 380 to 415; but 130 with 8 rows, where f32 reaches 210 |
//! | the same in registers, as they are read | less with many rows | 355 to 390, with 8 rows 220 to 270, with one row as fast as f32: kept, and the buffer left out |
//! | rows in f32 times pairs, both numbers of a pair in one loop | what f32 reaches, as before there were pairs | 122: the compiler loads all numbers first and puts sums into memory |
//! | a loop that takes one number after the other, and shifts by a variable | no such loads | 185 to 200; a step of 64 rows 10 % slower than before |
//! | a compiler fence between both | one operation less | 210 to 225, until an unrelated line changed: 135 to 140; undone |
//! | the first numbers of 64 steps, then the second ones | the same | 205 to 225, as f32 |
//! | sums start at zero in registers, and what is there is added last | 2 %: the compiler had cleared them in memory for every tile | products of depth 16, transposed, 120 → 149; a residual now rounds in the sampler as it does in the trainer |
//! | an adapter's products in bf16 too | 4 % | 228 instead of 211, but their rows have to be rounded: undone |
//! | a heap that keeps what is freed: thresholds of 1 GB and 32 MB (undone once, above; of 8 MB, it gives back what the head's chunks take) | 2 % | 8.57 → 8.38 s, two of two |
//! | gradients of the gate and pairs of columns in memory that is not cleared | 3 % | with the row on sums 8.39 → 7.91 s, 9.21 → 8.05 s; in f32 12.1 to 13.0 → 12.5 s |
//! | the same products by other instructions: two fused additions for each pair | half of f32's speed | 120 to 130 with AVX-512, 88 to 98 with AVX2 |
//! | 400 tokens in a turn instead of 320 | 3 % | 7.91 → 7.63 s, in f32 12.45 → 12.15 s, but 1,640 MB instead of 1,240 with weights in f32; not done |
//!
//! # What was tried with a matrix unit
//!
//! Another machine: 2 cores of a Xeon with AMX, 400 GFLOP/s in f32, 200 by `vdpbf16ps` (slower than f32 here), 6,200 by the unit in its registers;
//! 19 to 28 GB/s from memory. Other work stopped; products in bf16, before and after in the same minutes.
//!
//! | change | expected | found |
//! |---|---|---|
//! | `tdpbf16ps`, 32 rows × 2 panels in eight registers; panels of pairs are its tiles as they lie | products no longer what takes the time | 280 rows: 1,050 to 1,400 GFLOP/s forward, 1,000 to 1,200 transposed; PPO 14.7 → 6.3 s and, weights in f32, 17.6 → 7.8 s; reward step 1.98 → 0.75 s; batch 8, 32, 64: 384, 452, 461 → 515, 916, 1,188 tokens/s; batch 1 110 → 90 |
//! | lines 4 KB ahead asked for where there are few rows | batch 1 as before | 95 tokens/s beside 98 without the unit in the same minutes; batch 8 515 → 535 |
//! | weights in f32 become pairs in a buffer, four panels at a time, before they are multiplied | less than with weights in bf16 | batch 32 344 → 440 tokens/s, but batch 1 50 → 33 and batch 8 268 → 233: memory is not read while the unit works |
//! | the buffer kept by the thread, what follows in memory asked for 8 KB ahead | the loss gone | batch 1, 8, 32: 41, 281, 526 tokens/s |
//! | a weight's gradient: both factors rounded and laid out as tiles | all weights faster, whose gradients were left to `vdpbf16ps` | 750 to 1,000 GFLOP/s; reward step 2.22 → 1.43 s, PPO 25.4 → 19.3 s |
//! | rows of pairs begin with a cache line | a tile of rows reads sixteen lines instead of up to thirty-two | 280 rows: 1,204 to 1,416 → 1,345 to 1,598 GFLOP/s |
//! | f32 in three parts of bf16, six products for one, sums in f32 (`split`) | twice f32 by vectors: the unit is fifteen times as fast | 280 rows, GFLOP/s: 262 → 430 forward, 265 → 370 transposed, 206 → 290 for a weight's gradient; half the error of a chain of fused additions (root mean square 2⁻²²·⁴ beside 2⁻²¹·² at 576 terms). PPO 12.4 → 9.9 s, reward step 1.24 → 1.02 s |
//! | the same with weights that bf16 holds: three products | more | 217 → 690 forward, 185 → 270 with 8 rows; batch 8, 32, 64: 376, 465, 480 → 508, 830, 957 tokens/s; batch 1 as before |
//! | a sampler's weights in f32 too | batch 8 as before, since memory is waited for | batch 1, 8, 32, 64: 52, 310, 440, 505 → 27, 181, 351, 530 tokens/s: making the parts takes as long as reading the weight; undone |
//! | an adapter's products left to vectors | their rows would be split for sixteen numbers | PPO 10.5 → 9.9 s |
//! | the parts in arrays | nothing | the compiler put them into memory, and where a closure was not inlined it lost its instruction set: 83 GFLOP/s; so parts are handed over one after the other |
//! | the unit's speed looked at by itself: tiles in the nearest cache, then zeros for numbers | what it reaches in registers | 5.3 ns an instruction with zeros, 6.3 with numbers: the clock gives way, 5,000 GFLOP/s are what there is |
//! | f32, looked at because this machine reaches 44 % of its limit at 32 rows where the Zen 4 reaches 78 %: pointers to rows and four steps at a time, or nothing asked for ahead | 10 to 20 %: a loop of 57 instructions has 24 products | nothing; a quarter of the loop's time is spent waiting for panels, though a loop in C reaches 84 % with panels that stay in the cache; undone |
//! | members take their own rows from 32 rows on instead of 16 (its cache doesn't hold what the other core has read) | memory is read once | batch 32 428 → 459 tokens/s, batch 64 490 → 500; the Zen 4 had gained 7 % the other way; undone |
//! | the same from 64 rows on, only where there is a unit | a weight's pairs are made once, not by every member | f32, batch 32: 450 → 498 tokens/s, batch 64 about the same; products in bf16, batch 32, 64: 932, 1,207 → 1,083, 1,303, and of weights in f32 519, 799 → 749, 944 |
//! | a sampler's weights in f32 again: a tile of two panels is read and split, a few steps after each product, while the unit multiplies the tile before | memory, splitting and unit beside each other: 20 ms or so for the products of a step, whatever the rows | products of a step of 1, 8, 32, 64 rows: 18, 20, 40, 71 ms by vectors, 19, 22, 29, 47 ms now (the unit alone takes 20 for 64 rows); batch 1, 8, 32, 64: 50, 297, 483, 540 → 48, 285, 619, 736 tokens/s |
//! | meanwhile, memory asked for 16 lines ahead where it had been 128 | nothing | one row 26 → 19 ms |
//! | the parts of exact numbers put together by a shift and an or, where an instruction had rounded them and another moved them | splitting takes half the time | one row 21.5 → 18 ms |
//! | splitting spread over all blocks of rows, not done during the first | memory is read evenly | 64 rows 50 → 45 ms |
//! | two, three, six tiles split at a time | sums loaded and stored less often | 32 rows 27 → 28, 31, 32 ms: the nearest cache is too small; with 280 rows 358, 360, 387, 382 GFLOP/s, and all tiles of a panel 448, as before: so one tile up to 64 rows, and all with more |
//! | weights in bf16: while two panels are multiplied, the next two are asked for | 10 % at 32 rows | products of a step of 32 rows 18.3 → 15.8 ms; batch 1, 8, 32, 64: 84, 458, 862, 913 → 92, 528, 917, 934 tokens/s |
//! | attention asks for the next head's keys and values (the Zen 4 had lost by it) | 4 of 87 ms at 64 rows | 11.4 → 9.8 ms; batch 64 with weights in bf16 950 → 1,050 tokens/s, with the row above |
//! | the cache in large pages as well | 2 ms | 0.5 to 1 ms, and the Zen 4 had lost: not done |
//! | memory's limit looked at again: it had been measured in pages of 4 KB, by a loop without wide registers, in 256 MB where this machine has a third cache of 480 | what had been 98 to 122 % of the limit is less | 21 → 27 to 31 GB/s; batch 1 and 8 in f32 reach 95 and 80 % of it, weights in bf16 90 and 75 to 80 % |
//! | f32, 64 rows, taken apart (parts of the loop left out in turn): tiles loaded, without products and parts, 18 ms; products as well 31 to 36; parts as well, of panels in the second cache, 41; from memory 47 | one of them is in the way of the others | the same loop in assembly, one product in L1: parts cost nothing beside the unit; rows from the second cache 5 ms, sums stored and loaded again 4 to 6, numbers instead of zeros a fifth of the clock |
//! | rows asked for into the nearest cache; rows as contiguous tiles; parts made two tiles ahead; other distances of what is asked for; the six products unrolled | 5 ms each, from the line above | nothing, nothing, nothing, nothing, 3 to 8 % slower: undone |
//! | up to 32 rows what is made next is asked for into the nearest cache, not the second | 5 % | products of a step of 1, 8, 32 rows 18.7 → 17.2, 21.5 → 20, 28.4 → 27.7 ms (64 rows: no change, and not done); batch 1 and 8 50.5 → 52.5, 306 → 323 tokens/s, 32 and 64 within the noise |
//! | the next tile's parts made before the unit is told to multiply, not after | 15 %, as in assembly | within the noise: undone |
//! | a product's rows split faster (for 64 rows 24 us of each of 211 products) | 2 ms | the loop was not what took the time: undone; to split rows once for all products they meet would save 2 ms and was not tried |
//!
//! Then the same loop in a program of its own, where one thing after the other can be added. For f32, 64 rows and 24 instructions of the unit, which
//! take it 145 ns: with tiles loaded 152, with sums taken to memory and back 187, with weights split 208 to 214, from memory 244 to 257, with results
//! written 278 to 288. In the table, products of a step in ms, before and after in turn, medians of two or three runs:
//!
//! | change | expected | found |
//! |---|---|---|
//! | many rows: all blocks together make the next panels' steps one after the other, where each block had made a few of every tile | memory read as it lies, not in pieces of 512 bytes: in the loop alone 7 % | 280 rows: f32 180 → 155; in bf16, weights in f32, 88 → 68 |
//! | weights in bf16: memory asked for in the same order | the same | 64 rows 27.5 → 25, 280 rows in bf16 59 → 57 |
//! | weights in f32, 33 to 64 rows: four tiles of rows and one panel in the unit's registers, where there had been two and two, so that sums stay in them | in the loop alone 10 to 15 % | by choosing registers in a loop nothing, since that became jumps; each turn written out 45 → 44: the results, which are waited for, take most of what was won |
//! | a block's sums handed over eight rows at a time, while the unit multiplies the next block | 5 % | weights in bf16, 32 and 64 rows 15.9 → 15.1, 25.5 → 24.5, 280 rows in bf16 58 → 55. One row in f32 17 → 19, so up to 16 rows all are handed over together: 17.1 → 18.0, what is left of it is not understood |
//! | what hands sums over compiled once and called, where three copies in each kernel had made compiling slow | nothing | 280 rows in bf16 51 → 62: one copy inlined in each kernel instead |
//! | results stored past the caches | in the loop alone 10 % | not done: what follows reads them at once |
//! | the whole program, f32, batch 1, 8, 32, 64 (medians of three) | | 47.1, 287, 639, 698 → 47.6, 307, 672, 746 tokens/s |
//! | rows lie as the unit takes them up, tile by tile, where they had lain one after the other | in the loop alone 5 to 14 % | one to five percent: 280 rows f32 158 → 154, in bf16 56.6 → 54.9, weights in bf16 64 rows 24.4 → 23.4 |
//! | up to 64 rows, f32: in each turn it is known when compiling which steps are made. Before, counting pieces took as many instructions as making them | with the row above, what the loop alone takes: 15 % | with the row above 64 rows 42.8 → 40.5; 1, 8, 32 rows no change |
//! | each way to multiply in f32 and in pairs a function of its own, where one had all of them inlined | compiling takes less long; nothing else | compiling two minutes → one and a half; products by chance 4 % faster or slower, as by any change of such a function: one row 18.4 → 20.0 |
//! | memory asked for 24 lanes ahead into the nearest cache and 40 into the second, where both had been 16 | nothing | one row 20.0 → 18.5, 8 rows 20.8 → 19.1, 64 rows 42.5 → 41.5; 8, 16, 24, 40 lanes do not lie on a curve |
//! | the tile of rows for the turn after next asked for into the nearest cache | 5 % | 64 rows 41.5 → 40.8: not done |
//! | f32: the next two panels asked for, as for weights in bf16 | 10 % up to 32 rows | one row 10.3 → 11.6, 32 rows 14.5 → 17 (of one kind of layer): not done |
//! | f32: memory asked for past the second cache (`prefetchnta`), which the rows then have for themselves; rows and results in large pages | 3 ms at 64 rows | 64 rows 43 → 54, large pages 28 → 27 at 32 rows and nothing at 64: not done |
//! | many rows: terms in chunks of 2, 3, 6, 9 tiles, so that made panels stay in the nearest cache (in the loop alone) | 10 % | 3 to 17 % slower than all terms at once: not done |
//! | a token's key and value are kept by the same thread that attends to them next, without a wait in between | 3 of 80 ms at 64 rows: lines are fetched once | with the rows above, batch 8, 32, 64 in f32 315, 696, 801 → 319, 706, 816 tokens/s, batch 1 the same |
//! | asking memory for panels in f32 looked at as what is in the way. 200 weights of 576 × 1,536, in ms: 32 rows take 31 where one panel after the other comes from the second cache, a row from memory 33, both 46. Then panels from the cache while others are asked for and not used | the unit waits for panels | 38 to 42, and 64 rows 55 → 69 where 74 is the whole: it is the asking itself. Asked for 8 to 128 lanes ahead, into either cache, every second to eighth line, or only the first lines of the next page for the processor's own prefetching to go on: a step of 32 rows 26 to 41 beside 26.7 as it is; not done |
//! | rows split once for all weights that they meet ([`Rows`]) | 2.4 % at 64 rows | a quarter of the splitting, 5.2 → 3.9 % of the time: batch 32 and 64 760 → 770, 833 → 848 tokens/s, within the noise of six runs in turn |
//!
//! # What was tried for start-up and memory
//!
//! SmolLM2-135M, its files in the page cache, the same machine; `rlhf generate --max-new-tokens 1` from start to end, the best of four.
//!
//! | change | expected | found |
//! |---|---|---|
//! | as it was: every weight hashed, copied into a vector, checked, looked over for bf16, then packed | | f32 2.1 s (processor 1.4 s, of which 23 % SHA-256), bf16 1.5 s (1.2 s) |
//! | weights are hashed only where the hash is recorded, packed straight from the file's bytes into memory that was not cleared before, a share of the layers by each core, while another thread reads the tokenizer; a file's header is parsed once, not for each tensor | first token within 1 s | f32 0.37 s (processor 0.62 s), bf16 0.32 s (0.54 s) |
//! | rows of the embedding are read from the packed head, so the table exists once | 113 MB less | weights in memory 651 MB → 540 MB |
//! | a result is written tensor by tensor; adapters are merged into one weight at a time | 2.1 GB less at the end of a job: merged copy, host copy, encoded copy, file image | `rlhf reward train` of a 1.2 B model in bf16 still peaked there, at 4250 MB: its embedding was one matrix of 1 GB in f32 |
//! | a packed weight is written a row at a time | 900 MB less | 4250 MB → 3171 MB |
//! | a reward model that is an adapter on the policy's weights shares them | 540 MB less | `rlhf ppo` with LoRA, with the rows above: 1996 MB → 1520 MB; a heap profile of such a step finds 1120 MB in use at its peak |
//! | one heap for all threads | 300 MB less | the same job 1520 MB → 1046 MB |
//! | on the Xeon, all weights: the embedding's gradient by an operation of our own, not filled with zeros twice | 5 % | reward step 1.9 → 2.07 s by itself: its pages are then first touched when gradients are added up; with the next row 1.7 s |
//! | nothing on the heap is a map of its own, where pieces of 32 MB had been | fewer page faults | PPO, all weights: 6 million → 1.7 to 4.3 million, 23.8 → 21.2 to 25.5 s |
//! | nor is anything given back, where a gigabyte at the end of the heap had been | the same | 1.65 million, 21.8 s, peak 6.11 to 6.48 → 6.23 to 6.36 GB |

// What a kernel calls must be inlined into its copy for an instruction set, or it would not have that set's instructions.
#![allow(clippy::inline_always)]

mod amx;
mod arithmetic;
mod attention;
mod causal;
mod exp;
mod factors;
mod gradients;
mod grid;
mod isa;
mod lanes;
mod limit;
mod matmul;
mod memory;
mod paired;
mod panels;
mod pointwise;
mod room;
mod rows;
mod shared;
mod split;
mod team;
mod tile;
mod transpose;

pub use crate::cores::cores;
pub use amx::available as has_matrix_unit;
pub use attention::{HeadCache, attend, lanes_of_head};
pub use causal::{Attended, Causal, CausalGradients};
pub use exp::{exponentials, largest};
pub use gradients::{rms_norm_gradient, swiglu_gradient};
pub use grid::Mode;
pub use isa::{has_bf16_products, instructions};
pub use lanes::Full;
pub use limit::{bytes_per_second, flops_per_second, product_flops_per_second};
pub use matmul::{
    Beside, MatmulPrecision, matmul, matmul_part, matmul_with, product, product_across,
    product_transposed,
};
pub use panels::{Panels, Precision, WIDTH};
pub use pointwise::{gelu_tanh, layer_norm, rms_norm, rotate, swiglu};
pub use rows::Rows;
pub use shared::Shared;
pub use team::{Member, Team};
