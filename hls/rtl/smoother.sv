// Smoothed inference around an accelerator: each image Votes times with noise, its classes counted.
//
// Reference    flow.certify.smoothing.count_votes with LaneNoise, bit-exact for the same seed
// Latency      4 * Lanes + 1 cycles from reset to the first beat taken, for the seed; then 3 +
//              clog2(Steps + 1) for a beat on its way to the accelerator, 1 after the last class
// Throughput   1 beat per cycle, Beats * Votes cycles per image or what the accelerator takes
// Stall        as those of replay, noise and vote; ready_o is 0 while the seed is loaded
//
// The result has the layout of argmax's, votes in place of logits. Reset loads the seed again: the
// first image behind it sees the first Votes rows of noise, the next one the next.
module smoother #(
  parameter int Lanes    = 1,  // elements per beat
  parameter int InBits   = 8,  // per element
  parameter int InKind   = 0,  // 0 unsigned, 1 signed
  parameter int Low      = 0,  // of the clipped sum
  parameter int High     = 255,
  parameter int Steps    = 1,  // levels of noise, ascending
  parameter logic [Steps*31-1:0] Constants = '0,  // level 0 in the low bits
  parameter logic [4*Lanes*32-1:0] Seeds = '1,    // words in the order of loading, the first lowest
  parameter int Beats    = 1,  // per image
  parameter int Votes    = 2,  // per image
  parameter int Classes  = 2,
  parameter int WordBits = 8   // of the accelerator's output, the class in its top bits
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,  // synchronous, active low
  // images, lane 0 in the low bits
  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Lanes*InBits-1:0] data_i,
  // noisy images, to the accelerator
  output logic                    noisy_valid_o,
  input  logic                    noisy_ready_i,
  output logic [Lanes*InBits-1:0] noisy_data_o,
  // its classes
  input  logic                    class_valid_i,
  output logic                    class_ready_o,
  input  logic [WordBits-1:0]     class_data_i,
  // winner above the votes, class 0's votes in the low bits
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [((Classes > 1) ? $clog2(Classes) : 1) + Classes*$clog2(Votes+1) - 1:0] data_o
);

  localparam int Words     = 4 * Lanes;
  localparam int PlaceBits = $clog2(Words + 1);

  logic [PlaceBits-1:0]    place_q;  // seed words that are loaded
  logic                    loading, again_valid, again_ready, replay_ready;
  logic [Lanes*InBits-1:0] again;
  logic [31:0]             word;

  assign loading = place_q != PlaceBits'(Words);
  assign word    = Seeds[32'(place_q)*32 +: 32];
  assign ready_o = replay_ready && !loading;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) place_q <= '0;
    else if (loading) place_q <= place_q + 1'b1;
  end

  replay #(
    .Length (Beats),
    .Repeats(Votes),
    .Bits   (Lanes * InBits)
  ) u_replay (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(valid_i && !loading),
    .ready_o(replay_ready),
    .data_i (data_i),
    .valid_o(again_valid),
    .ready_i(again_ready),
    .data_o (again)
  );

  noise #(
    .Lanes    (Lanes),
    .InBits   (InBits),
    .InKind   (InKind),
    .Low      (Low),
    .High     (High),
    .Steps    (Steps),
    .Constants(Constants)
  ) u_noise (
    .clk_i       (clk_i),
    .rst_ni      (rst_ni),
    .seed_valid_i(loading && rst_ni),
    .seed_i      (word),
    .valid_i     (again_valid),
    .ready_o     (again_ready),
    .data_i      (again),
    .valid_o     (noisy_valid_o),
    .ready_i     (noisy_ready_i),
    .data_o      (noisy_data_o)
  );

  vote #(
    .Classes(Classes),
    .InBits (WordBits),
    .Votes  (Votes)
  ) u_vote (
    .clk_i  (clk_i),
    .rst_ni (rst_ni),
    .valid_i(class_valid_i),
    .ready_o(class_ready_o),
    .data_i (class_data_i),
    .valid_o(valid_o),
    .ready_i(ready_i),
    .data_o (data_o)
  );

endmodule
