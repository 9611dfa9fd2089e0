// Rounded Gaussian noise on every element of a stream, clipped to Low .. High.
//
// Reference    flow/certify/noise.py (LaneNoise), bit-exact for the same seed
// Latency      2 + clog2(Steps + 1) cycles
// Throughput   1 beat per cycle
// Stall        ready_o falls only while a result waits on ready_i; no bubble on release
//
// Each lane has a xorshift generator of 128 bits that steps once per beat taken. The top bit of its
// word is the noise's sign; its magnitude is how many levels the 31 bits below reach, found by
// bisection, one comparison per cycle. Seeding shifts words in, lane 0 first and oldest first, four
// per lane, only while no beat is inside; before it the noise is undefined. Reset keeps the seed.
module noise #(
  parameter int Lanes  = 2,   // elements per beat
  parameter int InBits = 8,   // per element, in and out, up to 30
  parameter int InKind = 0,   // 0 unsigned, 1 signed
  parameter int Low    = 0,   // of the clipped sum
  parameter int High   = 255,
  parameter int Steps  = 1,   // levels, ascending
  parameter logic [Steps*31-1:0] Constants = '0  // level 0 in the low bits
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,  // synchronous, active low
  // one word of the generators' state per cycle
  input  logic                    seed_valid_i,
  input  logic [31:0]             seed_i,
  // elements, lane 0 in the low bits
  input  logic                    valid_i,
  output logic                    ready_o,
  input  logic [Lanes*InBits-1:0] data_i,
  // noisy elements, lane 0 in the low bits
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [Lanes*InBits-1:0] data_o
);

  localparam int Levels  = $clog2(Steps + 1);  // comparisons
  localparam int SumBits = ((InBits > Levels) ? InBits : Levels) + 2;
  localparam int Padded  = 1 << Levels;        // levels with those that nothing reaches

  initial if (Steps < 1 || InBits > 30) begin
    $fatal(1, "%m: Steps=%0d must be positive and InBits=%0d at most 30", Steps, InBits);
  end
  initial if (InKind != 0 && InKind != 1) begin
    $fatal(1, "%m: InKind=%0d is neither 0 nor 1", InKind);
  end

  // 32 bits each, so that no word of 31 bits reaches what is beyond Steps
  function automatic logic [Padded*32-1:0] padded_levels();
    padded_levels = '0;
    for (int level = 0; level < Padded; level++) begin
      if (level < Steps) padded_levels[level*32 +: 32] = {1'b0, Constants[level*31 +: 31]};
      else padded_levels[level*32 +: 32] = 32'h8000_0000;
    end
  endfunction
  localparam logic [Padded*32-1:0] Table = padded_levels();

  logic                    advance, take;
  logic [Levels:0]         line_q;   // whether a beat is in each stage
  logic [Lanes*128-1:0]    state_q, state_d;
  logic                    valid_q;
  logic [Lanes*InBits-1:0] data_q, data_d;

  assign advance = !valid_q || ready_i;
  assign take    = valid_i && advance;
  assign ready_o = advance;
  assign valid_o = valid_q;
  assign data_o  = data_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      line_q  <= '0;
    end else if (advance) begin
      valid_q   <= line_q[Levels];
      line_q    <= {line_q[Levels-1:0], valid_i};
    end
  end

  always_ff @(posedge clk_i) begin
    if (seed_valid_i) begin
      for (int word = 0; word < 4 * Lanes - 1; word++) begin
        state_q[word*32 +: 32] <= state_q[(word+1)*32 +: 32];
      end
      state_q[(4*Lanes-1)*32 +: 32] <= seed_i;
    end else if (take) begin
      state_q <= state_d;
    end
    if (advance && line_q[Levels]) data_q <= data_d;
  end

  for (genvar lane = 0; lane < Lanes; lane++) begin : gen_lane
    logic [31:0] oldest, mixed, newest;
    assign oldest = state_q[lane*128 +: 32];
    assign mixed  = oldest ^ {oldest[20:0], 11'd0};
    assign newest = state_q[lane*128+96 +: 32];
    assign state_d[lane*128 +: 96]    = state_q[lane*128+32 +: 96];
    assign state_d[lane*128+96 +: 32] =
        newest ^ {19'd0, newest[31:19]} ^ mixed ^ {8'd0, mixed[31:8]};

    // stage s holds what s comparisons have found; stage 0 reads the word of the beat just taken
    logic [(Levels+1)*InBits-1:0] x_q;
    logic [(Levels+1)*Levels-1:0] found;
    logic [(Levels+1)*32-1:0]     word;

    assign found[0 +: Levels] = '0;
    assign word[0 +: 32]      = newest;
    always_ff @(posedge clk_i) if (take) x_q[0 +: InBits] <= data_i[lane*InBits +: InBits];

    for (genvar s = 0; s < Levels; s++) begin : gen_compare
      localparam int Bit = Levels - 1 - s;
      logic [Levels-1:0] below, found_d, found_q;
      logic [31:0]       level, word_q;
      assign below   = found[s*Levels +: Levels];
      // how many are reached has Bit set where the level of that many is reached
      assign level   = Table[32'(below | Levels'((1 << Bit) - 1))*32 +: 32];
      assign found_d = below | (({1'b0, word[s*32 +: 31]} >= level) ? Levels'(1 << Bit) : '0);
      always_ff @(posedge clk_i) begin
        if (advance) begin
          found_q                       <= found_d;
          word_q                        <= word[s*32 +: 32];
          x_q[(s+1)*InBits +: InBits] <= x_q[s*InBits +: InBits];
        end
      end
      assign found[(s+1)*Levels +: Levels] = found_q;
      assign word[(s+1)*32 +: 32]          = word_q;
    end

    logic [InBits-1:0]         x;
    logic signed [SumBits-1:0] value, size, sum;
    assign x     = x_q[Levels*InBits +: InBits];
    assign value = (InKind != 0) ? SumBits'($signed(x)) : SumBits'(x);
    assign size  = SumBits'(found[Levels*Levels +: Levels]);
    assign sum   = word[Levels*32+31] ? value - size : value + size;
    assign data_d[lane*InBits +: InBits] = (sum < SumBits'(Low))  ? InBits'(Low)
                                         : (sum > SumBits'(High)) ? InBits'(High)
                                         : sum[InBits-1:0];
  end

endmodule
