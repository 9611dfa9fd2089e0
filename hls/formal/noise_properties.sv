// noise.sv: one beat for each, every element within Low .. High; any seed, at any time.
module noise_properties #(
  parameter int Lanes = 1,
  parameter int InBits = 3,
  parameter int InKind = 0,
  parameter int Steps = 3
) (
  input logic                    clk_i,
  input logic                    rst_ni,
  input logic                    seed_valid_i,
  input logic [31:0]             seed_i,
  input logic                    valid_i,
  input logic [Lanes*InBits-1:0] data_i,
  input logic                    ready_i
);

  localparam int Low  = (InKind != 0) ? -2 : 1;
  localparam int High = (InKind != 0) ? 2 : 5;

  logic                            ready, valid, in, out, in_last, out_last;
  logic [$clog2(1+1)-1:0]  in_index;
  logic [$clog2(1+1)-1:0] out_index;
  logic [2:0]                      in_frame, out_frame;
  (* anyconst *) logic [2:0]       frame;
  logic [Lanes*InBits-1:0]         data;

  noise #(
    .Lanes(Lanes), .InBits(InBits), .InKind(InKind), .Low(Low), .High(High), .Steps(Steps),
    .Constants(93'h600000004000000020000000)
  ) dut (
    .clk_i       (clk_i),
    .rst_ni      (rst_ni),
    .seed_valid_i(seed_valid_i),
    .seed_i      (seed_i),
    .valid_i     (valid_i),
    .ready_o     (ready),
    .data_i      (data_i),
    .valid_o     (valid),
    .ready_i     (ready_i),
    .data_o      (data)
  );

  ends #(
    .InBits(Lanes*InBits), .OutBits(Lanes*InBits), .InWords(1), .OutWords(1),
    .FrameBits(3), .Patience(0)
  ) u_ends (
    .clk_i(clk_i), .rst_ni(rst_ni),
    .in_valid_i(valid_i), .in_ready_i(ready), .in_data_i(data_i),
    .out_valid_i(valid), .out_ready_i(ready_i), .out_data_i(data),
    .in_o(in), .in_index_o(in_index), .in_frame_o(in_frame), .in_last_o(in_last),
    .out_o(out), .out_index_o(out_index), .out_frame_o(out_frame), .out_last_o(out_last)
  );

  logic               known_q;
  logic signed [31:0] element;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || (out && out_frame == frame)) known_q <= 1'b0;
    else if (in && in_frame == frame) known_q <= 1'b1;
  end
  always_comb begin
    if (rst_ni && valid && out_frame == frame) assert (known_q);
    for (int lane = 0; lane < Lanes; lane++) begin
      element = (InKind != 0) ? 32'($signed(data[lane*InBits +: InBits]))
                              : 32'(data[lane*InBits +: InBits]);
      if (rst_ni && valid) assert (element >= Low && element <= High);
    end
  end

endmodule
