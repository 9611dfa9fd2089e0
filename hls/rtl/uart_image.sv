// Gathers the bytes of one image into beats and keeps them until they are released.
//
// Reference    docs/uart-protocol.md
// Latency      a beat can leave 2 cycles after its last element, once release_i is 1
// Throughput   one element per cycle in, one beat per cycle out
// Stall        none on the input: it holds one image and takes no element beyond it
//
// It does not check element values: bits above InBits are dropped.
module uart_image #(
  parameter int Elements = 8,  // per image
  parameter int Lanes    = 2,  // per beat, divides Elements
  parameter int InBits   = 5   // per element, at most 8
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,     // synchronous, active low
  input  logic                    drop_i,     // forgets the image, or the part that has arrived
  input  logic                    release_i,  // lets the beats leave; hold until all have left
  // elements, one per byte
  input  logic                    valid_i,
  input  logic [7:0]              data_i,
  // beats, lane 0 in the low bits
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [Lanes*InBits-1:0] data_o
);

  localparam int Beats    = Elements / Lanes;
  localparam int BeatBits = Lanes * InBits;
  localparam int LaneBits = (Lanes > 1) ? $clog2(Lanes) : 1;

  initial if (Elements % Lanes != 0 || InBits > 8) begin
    $fatal(1, "%m: Lanes=%0d must divide Elements=%0d, and InBits=%0d be at most 8", Lanes,
           Elements, InBits);
  end

  logic [BeatBits-1:0]        beat_q;
  logic [BeatBits+InBits-1:0] beat_d;  // the new element on top, the oldest one falls out below
  logic [LaneBits-1:0]        lane_q;
  logic                       push_q, last, head_valid;
  logic                       unused_room;
  logic [$clog2(Beats+1)-1:0] unused_level;
  logic                       unused_bits;

  assign beat_d      = {data_i[InBits-1:0], beat_q};
  assign last        = lane_q == LaneBits'(Lanes - 1);
  assign valid_o     = head_valid && release_i;
  assign unused_bits = ^{data_i, beat_d[InBits-1:0], unused_room, unused_level};

  always_ff @(posedge clk_i) begin
    if (valid_i) beat_q <= beat_d[BeatBits+InBits-1:InBits];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || drop_i) begin
      push_q <= 1'b0;
      lane_q <= '0;
    end else begin
      push_q <= valid_i && last;
      if (valid_i) lane_q <= last ? '0 : lane_q + 1'b1;
    end
  end

  fifo #(.Depth(Beats), .Bits(BeatBits)) u_fifo (
    .clk_i,
    .rst_ni      (rst_ni && !drop_i),
    .valid_i     (push_q),
    .ready_o     (unused_room),
    .data_i      (beat_q),
    .valid_o     (head_valid),
    .ready_i     (ready_i && release_i),
    .data_o,
    .high_water_o(unused_level)
  );

endmodule
