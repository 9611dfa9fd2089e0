// Serial commands to an accelerator: run an image, write or read a stored word, identify the build.
//
// Reference    docs/uart-protocol.md, sim/host.py
// Latency      2 cycles from the last byte of a valid request to its effect
// Throughput   one request at a time; the reply must end before the next request begins
// Stall        receives without back-pressure; bytes sent during a reply are lost
//
// Nothing happens before the checksum of a request has been found right: the image waits in a
// FIFO, a word in the staging register. Memories are accessed only in state Execute, which no
// image can share, since state Run ends with the result of the one image it started.
// A request that is not understood is ignored until the line has been silent for
// 2**SilenceBits cycles; then one error reply is sent and the bridge listens again.
module uart_bridge #(
  parameter int          Elements       = 8,   // elements per image, one byte each on the line
  parameter int          Lanes          = 2,   // elements per beat, divides Elements
  parameter int          InBits         = 5,   // bits per element, at most 8
  parameter int          Classes        = 4,
  parameter int          ClassBits      = 2,
  parameter int          LogitBits      = 9,   // at most 64
  parameter bit          LogitSigned    = 1'b1,
  parameter int          CfgBits        = 16,  // widest stored word, at least 1
  parameter int          Memories       = 1,   // memories on the configuration bus
  parameter int          CfgMemoryBits  = 8,   // of a memory's number, at most 16
  parameter int          CfgAddressBits = 16,  // of an address, at most 32
  parameter bit          Parity         = 1'b0,  // memories check their words
  parameter bit          Writable       = 1'b1,  // configuration can write them
  parameter bit          Voting         = 1'b0,  // logits are votes under noise
  parameter logic [63:0] Digest         = '0,  // graph digest, its first byte in the low bits
  parameter int          SilenceBits    = 17   // longest pause inside a request, as a power of two
) (
  input  logic                                   clk_i,
  input  logic                                   rst_ni,  // synchronous, active low
  // bytes from uart_rx, and its line
  input  logic                                   rx_valid_i,
  input  logic [7:0]                             rx_data_i,
  input  logic                                   rx_error_i,
  input  logic                                   rx_line_i,
  // bytes to uart_tx
  output logic                                   tx_valid_o,
  input  logic                                   tx_ready_i,
  output logic [7:0]                             tx_data_o,
  // images, lane 0 in the low bits
  output logic                                   valid_o,
  input  logic                                   ready_i,
  output logic [Lanes*InBits-1:0]                data_o,
  // {class, logits}, logit 0 in the low bits
  input  logic                                   valid_i,
  output logic                                   ready_o,
  input  logic [ClassBits+Classes*LogitBits-1:0] data_i,
  // configuration bus of the accelerator
  output logic                                   cfg_valid_o,
  output logic                                   cfg_write_o,
  output logic [CfgMemoryBits-1:0]               cfg_memory_o,
  output logic [CfgAddressBits-1:0]              cfg_address_o,
  output logic [CfgBits-1:0]                     cfg_data_o,
  input  logic [CfgBits-1:0]                     cfg_data_i,
  // which memories have given a damaged word
  input  logic [Memories-1:0]                    detected_i,
  // {changes with each image, last request was refused, class}
  output logic [7:0]                             led_o
);

  localparam int LogitBytes = (LogitBits <= 16) ? 2 : (LogitBits <= 32) ? 4 : 8;
  localparam int CfgBytes   = (CfgBits + 7) / 8;
  localparam int PlaceBytes = 6;                                // memory, address
  localparam int WordBytes  = CfgBytes + PlaceBytes;
  localparam int RunBytes   = 6 + Classes * LogitBytes;         // status, class, cycles, logits
  localparam int IdBytes    = 23;                               // status, identification
  localparam int TellBytes  = Parity ? 1 + (Memories + 7) / 8 : 1;  // status, damaged memories
  localparam int LongBytes  = (WordBytes > IdBytes) ? WordBytes : IdBytes;
  localparam int FixBytes   = (LongBytes > TellBytes) ? LongBytes : TellBytes;
  localparam int StageBytes = (RunBytes > FixBytes) ? RunBytes : FixBytes;
  localparam int StageBits  = 8 * StageBytes;
  localparam int MostBytes  = (Elements > StageBytes) ? Elements : StageBytes;
  localparam int LeftBits   = $clog2(MostBytes + 3);            // and two bytes of checksum
  localparam int WideBits   = 8 * LogitBytes;
  localparam int CfgWide    = 8 * CfgBytes;
  localparam int TellWide   = 8 * TellBytes;

  initial if (Elements > 65535 || Classes > 256 || LogitBits > 64) begin
    $fatal(1, "%m: Elements=%0d, Classes=%0d or LogitBits=%0d too large", Elements, Classes,
           LogitBits);
  end
  initial if (Memories > 1 << CfgMemoryBits || CfgMemoryBits > 16 || CfgAddressBits > 32) begin
    $fatal(1, "%m: Memories=%0d, CfgMemoryBits=%0d or CfgAddressBits=%0d too large", Memories,
           CfgMemoryBits, CfgAddressBits);
  end

  localparam logic [7:0] Identify = 8'h01, Run = 8'h02, Write = 8'h03, Read = 8'h04, Tell = 8'h05;
  localparam logic [7:0] Done = 8'h00, Unknown = 8'h01, Checksum = 8'h02, Framing = 8'h03;
  localparam logic [7:0] Timeout = 8'h04, NoMemory = 8'h05;

  localparam logic [2:0] Command = 3'd0;  // waits for the first byte of a request
  localparam logic [2:0] Request = 3'd1;  // takes the rest of it, checksum included
  localparam logic [2:0] Judge   = 3'd7;  // whether the checksum came out as 0
  localparam logic [2:0] Execute = 3'd2;  // starts what was asked; the one cycle of a memory access
  localparam logic [2:0] Fetch   = 3'd3;  // takes the word that was read, two cycles later
  localparam logic [2:0] Compute = 3'd4;  // streams the image, waits for its result
  localparam logic [2:0] Reply   = 3'd5;  // sends the staging register, then the checksum
  localparam logic [2:0] Reject  = 3'd6;  // waits for silence

  logic [2:0]             state_q;
  logic [7:0]             command_q;
  logic [LeftBits-1:0]    left_q;       // bytes to take or to send, checksum included
  logic [StageBits-1:0]   stage_q;      // the staging register: words in, replies out
  logic [15:0]            crc_q, crc_d;
  logic [SilenceBits-1:0] silence_q;    // cycles the line has been 1, saturating
  logic [31:0]            cycles_q;     // since the first beat of the image was offered
  logic [5:0]             class_q;
  logic                   image_q, refused_q, fetched_q, access_q;

  logic                   body_q;       // left_q > 2: not yet at the checksum
  logic                   checked_q;    // left_q == 1: at its last byte
  logic                   silent, absent, access;
  logic [7:0]             crc_byte;
  logic [15:0]            memory;       // as the request has it

  assign silent  = &silence_q;
  assign absent  = {16'd0, memory} >= Memories;
  assign access  = command_q == Write || command_q == Read;

  assign crc_byte = (state_q == Reply) ? stage_q[7:0] : rx_data_i;
  crc16 u_crc (.crc_i(crc_q), .data_i(crc_byte), .crc_o(crc_d));

  uart_image #(.Elements(Elements), .Lanes(Lanes), .InBits(InBits)) u_image (
    .clk_i,
    .rst_ni,
    .drop_i   (state_q == Reject),
    .release_i(state_q == Compute),
    .valid_i  (state_q == Request && command_q == Run && rx_valid_i && body_q),
    .data_i   (rx_data_i),
    .valid_o,
    .ready_i,
    .data_o
  );

  // results, each logit extended to whole bytes
  logic [Classes*WideBits-1:0] logits;
  logic [7:0]                  class_byte;

  for (genvar c = 0; c < Classes; c++) begin : gen_logit
    logic [LogitBits-1:0] logit;
    assign logit = data_i[c*LogitBits +: LogitBits];
    if (LogitSigned) begin : gen_signed
      assign logits[c*WideBits +: WideBits] = WideBits'($signed(logit));
    end else begin : gen_unsigned
      assign logits[c*WideBits +: WideBits] = WideBits'(logit);
    end
  end
  assign class_byte = 8'(data_i[Classes*LogitBits +: ClassBits]);
  assign ready_o    = state_q == Compute;

  // the last bytes of a request lie on top: word, memory, address
  assign cfg_valid_o   = access_q;  // in state Execute
  assign cfg_write_o   = command_q == Write;
  assign cfg_data_o    = stage_q[StageBits-8*WordBytes +: CfgBits];
  assign memory        = stage_q[StageBits-48 +: 16];
  assign cfg_memory_o  = memory[CfgMemoryBits-1:0];
  assign cfg_address_o = stage_q[StageBits-32 +: CfgAddressBits];

  assign tx_valid_o = state_q == Reply;
  assign tx_data_o  = body_q ? stage_q[7:0] : checked_q ? crc_q[7:0] : crc_q[15:8];
  assign led_o      = {image_q, refused_q, class_q};

  always_ff @(posedge clk_i) begin
    silence_q <= !rx_line_i ? '0 : silent ? silence_q : silence_q + 1'b1;
    cycles_q  <= (state_q == Compute) ? cycles_q + 1'b1 : '0;
    fetched_q <= state_q == Fetch && !fetched_q;
    access_q  <= state_q == Judge && crc_q == '0 && access && !absent;
    crc_q     <= 16'hffff;

    unique case (state_q)
      Command: if (rx_valid_i) begin
        state_q   <= Request;
        command_q <= rx_data_i;
        body_q    <= rx_data_i == Run || rx_data_i == Write || rx_data_i == Read;
        checked_q <= 1'b0;
        crc_q     <= crc_d;
        unique case (rx_data_i)
          Identify: left_q <= LeftBits'(2);
          Run:      left_q <= LeftBits'(Elements + 2);
          Write: begin
            left_q <= LeftBits'(WordBytes + 2);
            if (!Writable) begin
              stage_q[7:0] <= Unknown;
              state_q      <= Reject;
            end
          end
          Read:     left_q <= LeftBits'(PlaceBytes + 2);
          Tell: begin
            left_q <= LeftBits'(2);
            if (!Parity) begin
              stage_q[7:0] <= Unknown;
              state_q      <= Reject;
            end
          end
          default: begin
            stage_q[7:0] <= Unknown;
            state_q      <= Reject;
          end
        endcase
      end

      Request: begin
        crc_q <= crc_q;
        if (rx_valid_i) begin
          crc_q     <= crc_d;
          left_q    <= left_q - 1'b1;
          body_q    <= left_q > LeftBits'(3);
          checked_q <= left_q == LeftBits'(2);
          if (body_q) stage_q <= {rx_data_i, stage_q[StageBits-1:8]};
          if (checked_q) state_q <= Judge;
        end else if (silent) begin
          stage_q[7:0] <= Timeout;
          state_q      <= Reject;
        end
      end

      Judge: begin
        state_q <= Execute;
        if (crc_q != '0) begin
          stage_q[7:0] <= Checksum;
          state_q      <= Reject;
        end
      end

      Execute: begin
        stage_q[7:0] <= (access && absent) ? NoMemory : Done;
        refused_q    <= access && absent;
        left_q       <= LeftBits'(1 + 2);
        body_q       <= 1'b1;  // also where the reply is longer
        checked_q    <= 1'b0;
        state_q      <= Reply;
        if (command_q == Read && !absent) state_q <= Fetch;
        if (command_q == Run) state_q <= Compute;
        if (Parity && command_q == Tell) begin
          left_q                <= LeftBits'(TellBytes + 2);
          stage_q[TellWide-1:0] <= TellWide'({detected_i, Done});
        end
        if (command_q == Identify) begin
          left_q                 <= LeftBits'(IdBytes + 2);
          stage_q[8*IdBytes-1:0] <= {
            Digest, 16'(Memories), 16'(CfgBytes), 4'd0, Voting, !Writable, Parity, LogitSigned,
            8'(LogitBytes), 16'(Classes), 16'(Elements), 8'(InBits), 8'd2, "p", "b", Done};
        end
      end

      Fetch: if (fetched_q) begin
        left_q  <= LeftBits'(CfgBytes + 1 + 2);
        state_q <= Reply;
      end

      Compute: if (valid_i) begin
        stage_q[8*RunBytes-1:0] <= {logits, cycles_q, class_byte, Done};
        left_q                  <= LeftBits'(RunBytes + 2);
        class_q                 <= class_byte[5:0];
        image_q                 <= !image_q;
        state_q                 <= Reply;
      end

      Reply: begin
        crc_q <= crc_q;
        if (tx_ready_i) begin
          left_q    <= left_q - 1'b1;
          body_q    <= left_q > LeftBits'(3);
          checked_q <= left_q == LeftBits'(2);
          if (body_q) begin
            stage_q <= {8'h00, stage_q[StageBits-1:8]};
            crc_q   <= crc_d;
          end
          if (checked_q) begin
            state_q <= Command;
            crc_q   <= 16'hffff;
          end
        end
      end

      default: if (silent) begin
        refused_q <= 1'b1;
        left_q    <= LeftBits'(1 + 2);
        body_q    <= 1'b1;
        checked_q <= 1'b0;
        state_q   <= Reply;
      end
    endcase

    // the word has passed a gate per memory: nearest to the register
    if (fetched_q) stage_q[8*CfgBytes+7:0] <= {CfgWide'(cfg_data_i), Done};

    if (rx_error_i && (state_q == Command || state_q == Request)) begin
      stage_q[7:0] <= Framing;
      state_q      <= Reject;
    end
    if (!rst_ni) begin
      state_q   <= Command;
      crc_q     <= 16'hffff;
      silence_q <= '0;
      class_q   <= '0;
      image_q   <= 1'b0;
      access_q  <= 1'b0;
      refused_q <= 1'b0;
    end
  end

endmodule
